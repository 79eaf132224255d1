// SPDX-License-Identifier: Apache-2.0
#pragma once
/// RuntimeState: what a Runtime owns, in the order in which it starts and ends.
#include <mpi.h>

#include <memory>
#include <mutex>
#include <string>

#include "dsr/comm/runtime.hpp"
#include "libdsr/comm/mpi/node.hpp"
#include "libdsr/comm/mpi/session.hpp"
#include "libdsr/comm/termination.hpp"

namespace dsr::detail {

/// Whether this Runtime started MPI and so ends it.
enum class MpiOwner : std::uint8_t { runtime, caller };

/// Neither copies nor moves.
class RuntimeState {
 public:
  /// Duplicates `comm` (collective over it) and installs the terminate handler.
  RuntimeState(MPI_Comm comm, MpiOwner owner, Termination termination);
  /// Aborts the job if an exception unwinds and there are other ranks; otherwise ends what was
  /// started.
  ~RuntimeState();
  RuntimeState(RuntimeState const&) = delete;
  RuntimeState& operator=(RuntimeState const&) = delete;

  /// Applies options. Apart from the constructor so that what it throws finds the handler in place.
  void configure(RuntimeOptions const& options);
  void use(Device asked);
  void set_place(std::string place);

  /// "rank 2 on host, dp 1, row 0; last collective: …".
  std::string where() const;
  /// Flushes what was written, then ends all ranks; they and mpirun exit with `code`.
  [[noreturn]] void abort(int code) const;

  MPI_Comm comm = MPI_COMM_NULL;
  std::shared_ptr<Session> session;
  Communicator world;
  Node node;
  Log log;
  Device device = kCpu;
  int threads = 1;
  int thread_level = MPI_THREAD_SINGLE;

 private:
  void use_cuda(Device asked);

  MpiOwner owner_;
  HostEmulation emulate_hosts_ = HostEmulation::off;
  Communicator host_world_;  ///< over MPI, whatever `world` is over
  int exceptions_at_start_;
  mutable std::mutex place_mutex_;
  std::string place_;
  std::unique_ptr<TerminateHandler> handler_;
};

}  // namespace dsr::detail
