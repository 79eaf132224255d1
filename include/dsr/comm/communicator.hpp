// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Communicator: a group of ranks that move tensors together. A handle; the Mesh owns what it
/// names.
///
///     Communicator& row = mesh[Axis::row];
///     all_gather(x, gathered, row, stream);       // collectives.hpp
///     row.traffic()[Collective::all_gather].elements;
///
/// Any number of operations may be pending on its stream. It belongs to one Stream at a time.
#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "dsr/core/device.hpp"
#include "dsr/core/shape.hpp"

namespace dsr {

enum class Collective : std::uint8_t {
  all_gather,
  reduce_scatter,
  all_reduce,
  broadcast,
  all_to_all,
  send,
  receive,
  barrier
};
inline constexpr int kCollectives = 8;
std::string_view name_of(Collective operation);

/// What was asked of one operation. `elements` counts, per call: all_gather the rank's own block,
/// reduce_scatter the block it is left with, the others the whole tensor.
struct TrafficCount {
  Size calls = 0, elements = 0;
  Size sent = 0;        ///< elements sent in a ring: the sum of ring_elements() over the calls
  Size sent_bytes = 0;  ///< the same in bytes
  bool operator==(TrafficCount const&) const = default;
};

struct Traffic {
  std::array<TrafficCount, kCollectives> by_operation{};
  TrafficCount const& operator[](Collective operation) const {
    return by_operation[static_cast<std::size_t>(operation)];
  }
  TrafficCount total() const;
  bool operator==(Traffic const&) const = default;
};

/// Elements that one rank of n sends when an operation on `elements` (as in TrafficCount) runs as a
/// ring: gather and scatter (n−1)·e, all_reduce 2(n−1)·ceil(e/n), all_to_all (n−1)·ceil(e/n),
/// broadcast and send e (0 if n = 1), receive and barrier 0.
Size ring_elements(Collective operation, Size elements, int ranks);

/// One line of the ring that a watchdog can print.
struct CollectiveRecord {
  std::uint64_t sequence = 0;
  Collective operation{};
  Size bytes = 0;
};

namespace detail {
class CommunicatorState;
}

/// Copies are handles of the same group. Must not outlive the Runtime that it came from.
class Communicator {
 public:
  Communicator() = default;
  explicit Communicator(std::shared_ptr<detail::CommunicatorState> state)
      : state_(std::move(state)) {}
  /// A group that computes nothing and counts: `rank` of `size`.
  static Communicator meta(std::string name, int rank, int size);

  int rank() const;
  int size() const;
  /// "row", "row×col", "world".
  std::string const& name() const;
  Device device() const;

  Traffic traffic() const;
  void reset_traffic();
  /// The last collective issued; sequence 0 if none was.
  CollectiveRecord last() const;
  /// Seconds during which operations of this group were running, its waiting for other ranks
  /// included; and those of them in which nothing was computed meanwhile, on the calling thread or
  /// a compute stream. On CUDA collectives are measured on the device, from the first call on, and
  /// counted once they have run.
  double busy_s() const;
  double inline_s() const;

  /// Splits off the ranks that pass the same colour, ordered by `key`; every rank of the group must
  /// call it.
  Communicator split(int colour, int key, std::string name) const;

  detail::CommunicatorState& state() const { return *state_; }

 private:
  std::shared_ptr<detail::CommunicatorState> state_;
};

}  // namespace dsr
