// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Runtime: starts MPI, picks this rank's device, threads and log, and decides how a failing
/// program ends.
///
///     int main(int argc, char** argv) {
///       dsr::Runtime runtime{argc, argv};        // without mpirun: one rank
///       …
///     }
///
/// If MPI is already initialised, Runtime joins it and does not finalise it. Uncaught errors: see
/// Termination.
#include <memory>
#include <string>
#include <vector>

#include "dsr/comm/communicator.hpp"
#include "dsr/core/log.hpp"
#include "dsr/core/stream.hpp"

namespace dsr {

/// on: a terminate handler prints an uncaught error once and aborts the job with its exit code.
/// InvalidArgument and AgreedError are printed by rank 0 while the others wait up to 2 s; other
/// errors are printed by the rank that threw, with host, rank and last collective. The previous
/// handler is restored when the Runtime ends.
enum class Termination : std::uint8_t { on, off };

/// on: each rank passes for a host of its own, so that many ranks can try NCCL on one GPU, over
/// sockets and slowly: sets NCCL_HOSTID and NCCL_SOCKET_IFNAME=lo unless they are set. All ranks
/// must be on one machine.
enum class HostEmulation : std::uint8_t { off, on };

struct RuntimeOptions {
  /// Of every rank. On CUDA a node's ranks take its GPUs in turn, beginning with `device.index`.
  Device device = kCpu;
  int threads = 0;         ///< OpenMP threads per rank; 0: cores of the mask / ranks on the node
  double timeout_s = 600;  ///< a collective that makes no progress for so long is a CommError
  Termination termination = Termination::on;
  HostEmulation emulate_hosts = HostEmulation::off;
  /// Throws InvalidArgument if threads < 0 or timeout_s <= 0.
  void validate() const;
};

namespace detail {
class RuntimeState;
}

/// Neither copies nor moves: MPI starts and ends with it. It must outlive all Communicators and
/// Meshes. While an exception unwinds through it, it aborts the job (exit code 70), since
/// finalising would hang on the other ranks; a single rank ends normally, and main decides.
class Runtime {
 public:
  Runtime(int& argc, char**& argv, RuntimeOptions options = {});
  ~Runtime();
  Runtime(Runtime const&) = delete;
  Runtime& operator=(Runtime const&) = delete;

  int rank() const { return world().rank(); }
  int size() const { return world().size(); }
  Communicator& world() const;
  Device device() const;
  int threads() const;
  /// Ranks on this node, and this rank's number among them.
  int node_size() const;
  int node_rank() const;
  /// The world rank of the first of them.
  int node_leader() const;
  std::string const& host() const;
  /// Numbers of the cores that this rank may use.
  std::vector<int> const& cores() const;
  Log const& log() const;

  /// A stream for collectives: on CUDA a queue of high priority; on the CPU a worker thread, or
  /// inline where MPI gives no MPI_THREAD_MULTIPLE.
  Stream communication_stream() const;
  /// Moves this Runtime to another device before any Mesh is made; handles of world() taken before
  /// stay where they were. On CUDA all ranks call it: it starts NCCL (see NcclOptions) and makes
  /// the rank's GPU current on this thread. Throws CudaError if the build or the machine lacks the
  /// device (several ranks: AgreedError on all) or NCCL is too old, InvalidArgument if ranks share
  /// a GPU, CommError if they do not find each other.
  void use(Device device);
  /// What the terminate handler prints as this rank's place, for example "dp 1, row 0, col 0".
  void set_place(std::string place);

 private:
  friend struct RuntimeAccess;
  Runtime(std::unique_ptr<detail::RuntimeState> state);
  std::unique_ptr<detail::RuntimeState> state_;
};

}  // namespace dsr
