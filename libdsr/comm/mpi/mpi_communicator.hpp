// SPDX-License-Identifier: Apache-2.0
#pragma once
/// The MPI backend: collectives on host memory, built from messages between pairs.
///
/// Algorithm  direct exchange: each rank sends every other rank its block, n − 1 blocks as in a
/// ring, but in one
///            round. Reductions are summed by the block's owner in rank order; MPI's own reductions
///            leave the order open. all_reduce is reduce_scatter then all_gather; if x is small all
///            ranks get all of x and add it up themselves, in one round and to the same bits.
/// Memory     reductions are staged in pieces through two halves of kStaging_bytes, owned by the
/// group: piece k + 1
///            arrives while piece k is added up
#include <mpi.h>

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "dsr/core/buffer.hpp"
#include "libdsr/comm/communicator_state.hpp"
#include "libdsr/comm/mpi/exchange.hpp"
#include "libdsr/comm/mpi/session.hpp"

namespace dsr::detail {

/// Which elements of a tensor belong to which rank: `unit` each, the last ones fewer.
struct Parts {
  Size unit = 0;
  Size total = 0;
  Size begin(int rank) const { return std::min(total, rank * unit); }
  Size count(int rank) const { return std::min(total, (rank + 1) * unit) - begin(rank); }
};

/// Neither copies nor moves. Operations run one at a time, on whichever thread runs the stream.
class MpiCommunicator final : public CommunicatorState {
 public:
  /// Enough for two halves of some pages from each of many ranks; larger was not faster.
  static constexpr Size kStaging_bytes = Size{1} << 20;
  /// all_reduce of fewer bytes takes one round.
  static constexpr Size kOneRound_bytes = 4096;

  /// `comm` belongs to the session.
  MpiCommunicator(std::shared_ptr<Session> session, MPI_Comm comm, std::string name, Device device);

  MPI_Comm comm() const { return comm_; }
  Session& session() const { return *session_; }
  bool moves_data() const override { return true; }
  void enqueue(CollectiveCall const& call, Stream& stream) override;
  void run_on_host(CollectiveCall const& call) override;
  std::shared_ptr<CommunicatorState> split(int colour, int key, std::string name) override;

 private:
  void noted(CollectiveRecord const& record) override { session_->note(name(), record); }
  void execute(CollectiveCall const& call, Thread thread);
  void move(CollectiveCall const& call);
  void gather(Parts parts, std::byte const* own, std::byte* out, Size element_bytes);
  void reduce_scatter(CollectiveCall const& call, Parts parts, std::byte* out);
  void all_reduce(CollectiveCall const& call);
  void all_reduce_in_one_round(CollectiveCall const& call);
  void all_to_all(CollectiveCall const& call);
  void broadcast(CollectiveCall const& call);
  void barrier();

  void post_piece(CollectiveCall const& call, Parts parts, Size first, Size piece);
  std::byte* staged(Size piece_number, int from, Size piece_bytes);
  void reserve_staging(Size bytes);
  /// The k-th other rank: all ranks start with different ones.
  int other(int k) const { return (rank() + k) % size(); }

  std::shared_ptr<Session> session_;
  MPI_Comm comm_;
  std::mutex running_;
  std::string death_;  ///< why the group is dead
  Buffer staging_;
  std::array<std::unique_ptr<Exchange>, 2> exchanges_;
  std::vector<std::byte const*> sources_;
};

}  // namespace dsr::detail
