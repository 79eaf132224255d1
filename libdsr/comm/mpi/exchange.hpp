// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Exchange: the messages of one group that are in flight, and the wait for them.
///
///     exchange.receive(into, bytes, from);
///     exchange.send(data, bytes, to);
///     exchange.complete(timeout_s);
///
/// Between two ranks messages arrive in the order in which they were posted. No call of MPI here
/// blocks: the wait polls, then sleeps, since more ranks than cores is usual on a workstation.
#include <mpi.h>

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "dsr/core/shape.hpp"

namespace dsr::detail {

/// How a waiting thread gives way: some polls with a yield between them, then sleeps that grow.
class Backoff {
 public:
  explicit Backoff(double timeout_s) : timeout_s_(timeout_s) {}
  /// Something happened: start over.
  void reset();
  /// Gives way once. False if nothing has happened for timeout_s.
  bool pause();

 private:
  using Clock = std::chrono::steady_clock;
  double timeout_s_;
  int pauses_ = 0;
  Clock::time_point silent_since_{};
};

/// Neither copies nor moves: MPI knows its requests. One thread uses it.
class Exchange {
 public:
  /// What of two kinds of messages must not be mistaken for each other.
  enum class Kind : int { collective = 1, point_to_point = 2 };

  explicit Exchange(MPI_Comm comm) : comm_(comm) {}
  ~Exchange() { abandon(); }
  Exchange(Exchange const&) = delete;
  Exchange& operator=(Exchange const&) = delete;

  /// Any size; an empty message is none. The memory must live until complete() returns.
  void send(std::byte const* data, Size bytes, int to, Kind kind = Kind::collective);
  void receive(std::byte* data, Size bytes, int from, Kind kind = Kind::collective);
  /// A message without content, for barriers.
  void send_signal(int to);
  void receive_signal(int from);

  /// Waits for all messages. Throws CommError if none arrives or leaves for timeout_s, naming the
  /// silent ranks.
  void complete(double timeout_s);
  /// Withdraws what is still in flight: the group is dead.
  void abandon() noexcept;

 private:
  /// Looks once. True if a message was completed.
  bool poll();
  MPI_Request& next(int peer);
  std::string silence(double timeout_s) const;

  MPI_Comm comm_;
  std::vector<MPI_Request> requests_;
  std::vector<int> peers_;
  std::vector<int> indices_;
  std::vector<MPI_Status> statuses_;
  std::size_t open_ = 0;
};

}  // namespace dsr::detail
