// SPDX-License-Identifier: Apache-2.0
#pragma once
/// CommunicatorState: what a Communicator refers to. It keeps the books (traffic, ring of calls,
/// seconds) for every backend; a backend is one derived class in a folder of its own that moves the
/// data.
///
///     CollectiveRecord record = state.note(Collective::all_gather, elements, dtype);
///     state.enqueue(call, stream);
///
/// Operands are validated by collectives.cpp, once for all backends.
#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>

#include "dsr/comm/collectives.hpp"
#include "dsr/comm/communicator.hpp"
#include "dsr/core/dtype.hpp"
#include "dsr/core/stream.hpp"

namespace dsr::detail {

/// One validated operation. `elements` counts as in TrafficCount; x and out are equal for in-place
/// operations.
struct CollectiveCall {
  Collective operation{};
  Reduce reduce = Reduce::sum;
  DType dtype = DType::u8;
  int peer = 0;  ///< root, receiver or sender
  std::byte const* x = nullptr;
  std::byte* out = nullptr;
  Size elements = 0;
  CollectiveRecord record{};

  Size bytes() const { return elements * size_of(dtype); }
};

/// Neither copies nor moves: handles and queued work share it. One thread issues; any thread may
/// read the books.
class CommunicatorState : public std::enable_shared_from_this<CommunicatorState> {
 public:
  CommunicatorState(std::string name, int rank, int size, Device device);
  virtual ~CommunicatorState() = default;
  CommunicatorState(CommunicatorState const&) = delete;
  CommunicatorState& operator=(CommunicatorState const&) = delete;

  int rank() const { return rank_; }
  int size() const { return size_; }
  std::string const& name() const { return name_; }
  Device device() const { return device_; }
  void set_device(Device device) { device_ = device; }

  /// The group that carries control messages: itself, unless a backend has one beside it.
  virtual CommunicatorState const& control() const { return *this; }
  /// False if the group only counts.
  virtual bool moves_data() const = 0;
  /// Appends the operation to the stream.
  virtual void enqueue(CollectiveCall const& call, Stream& stream) = 0;
  /// Runs the operation on host memory before it returns.
  virtual void run_on_host(CollectiveCall const& call) = 0;
  virtual std::shared_ptr<CommunicatorState> split(int colour, int key, std::string name) = 0;

  /// Counts an operation and enters it in the ring.
  CollectiveRecord note(Collective operation, Size elements, DType dtype);
  /// Enters it in the ring alone: for control messages.
  CollectiveRecord note_control(Collective operation, Size bytes);

  Traffic traffic() const;
  void reset_traffic();
  CollectiveRecord last() const;
  virtual double busy_s() { return busy_s_.load(std::memory_order_relaxed); }
  virtual double inline_s() { return inline_s_.load(std::memory_order_relaxed); }

 protected:
  enum class Thread : std::uint8_t { caller, worker };
  void add_seconds(double seconds, Thread thread);
  /// Called for each entry of the ring.
  virtual void noted(CollectiveRecord const&) {}

 private:
  CollectiveRecord enter(Collective operation, Size bytes);

  std::string name_;
  int rank_;
  int size_;
  Device device_;
  mutable std::mutex books_;
  Traffic traffic_;
  CollectiveRecord last_;
  std::atomic<double> busy_s_{0};
  std::atomic<double> inline_s_{0};
};

}  // namespace dsr::detail
