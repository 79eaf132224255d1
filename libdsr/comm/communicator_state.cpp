// SPDX-License-Identifier: Apache-2.0
#include "libdsr/comm/communicator_state.hpp"

#include <utility>

namespace dsr::detail {

CommunicatorState::CommunicatorState(std::string name, int rank, int size, Device device)
    : name_(std::move(name)), rank_(rank), size_(size), device_(device) {}

CollectiveRecord CommunicatorState::note(Collective operation, Size elements, DType dtype) {
  Size const sent = ring_elements(operation, elements, size_);
  {
    std::lock_guard const lock(books_);
    TrafficCount& count = traffic_.by_operation[static_cast<std::size_t>(operation)];
    count.calls += 1;
    count.elements += elements;
    count.sent += sent;
    count.sent_bytes += sent * size_of(dtype);
  }
  return enter(operation, elements * size_of(dtype));
}

CollectiveRecord CommunicatorState::note_control(Collective operation, Size bytes) {
  return enter(operation, bytes);
}

CollectiveRecord CommunicatorState::enter(Collective operation, Size bytes) {
  CollectiveRecord record;
  {
    std::lock_guard const lock(books_);
    last_ = {last_.sequence + 1, operation, bytes};
    record = last_;
  }
  noted(record);
  return record;
}

Traffic CommunicatorState::traffic() const {
  std::lock_guard const lock(books_);
  return traffic_;
}

void CommunicatorState::reset_traffic() {
  std::lock_guard const lock(books_);
  traffic_ = {};
}

CollectiveRecord CommunicatorState::last() const {
  std::lock_guard const lock(books_);
  return last_;
}

void CommunicatorState::add_seconds(double seconds, Thread thread) {
  busy_s_.fetch_add(seconds, std::memory_order_relaxed);
  if (thread == Thread::caller) inline_s_.fetch_add(seconds, std::memory_order_relaxed);
}

}  // namespace dsr::detail
