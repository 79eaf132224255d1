// SPDX-License-Identifier: Apache-2.0
#include "dsr/core/stream.hpp"

#include <chrono>
#include <utility>

#include "libdsr/core/cuda_device.hpp"
#include "libdsr/core/stream_state.hpp"

namespace dsr {
namespace detail {

void StreamState::block_on(EventState const& event) {
  struct Clock {
    using Steady = std::chrono::steady_clock;
    double& total_s;
    Steady::time_point start = Steady::now();
    ~Clock() { total_s += std::chrono::duration<double>(Steady::now() - start).count(); }
  };
  Clock const clock{waited_s_};
  event.wait();
}

}  // namespace detail

namespace {

std::unique_ptr<detail::StreamState> make_state(Device device, StreamKind kind) {
  require_device(device);
  if (device.kind == Device::Kind::cuda) return detail::make_cuda_stream(device, kind);
  if (device.kind == Device::Kind::meta) return detail::make_meta_stream(device, kind);
  if (kind == StreamKind::communication) return detail::make_worker_stream(device, kind);
  return detail::make_inline_stream(device, kind);
}

}  // namespace

bool Event::done() const { return !state_ || state_->done(); }

void Event::synchronize() const {
  if (state_) state_->wait();
}

Stream::Stream(Device device, StreamKind kind) : state_(make_state(device, kind)) {}
Stream::Stream(std::unique_ptr<detail::StreamState> state) : state_(std::move(state)) {}
Stream::~Stream() = default;
Stream::Stream(Stream&&) noexcept = default;
Stream& Stream::operator=(Stream&&) noexcept = default;

Device Stream::device() const { return state_->device(); }
StreamKind Stream::kind() const { return state_->kind(); }

void Stream::run(std::function<void()> work) { state_->run(std::move(work)); }
Event Stream::record() { return Event{state_->record()}; }
void Stream::wait(Event const& event) {
  if (event.state_) state_->wait(event.state_);
}
void Stream::synchronize() { state_->synchronize(); }

void Stream::count(Work const& work) {
  Work& total = state_->work();
  total.flops += work.flops;
  total.bytes += work.bytes;
  total.calls += work.calls;
}
Work Stream::counted() const { return state_->work(); }
void Stream::reset_counts() {
  state_->work() = {};
  state_->reset_waited();
}
double Stream::waited_s() const { return state_->waited_s(); }

}  // namespace dsr
