// SPDX-License-Identifier: Apache-2.0
#include "libdsr/core/cuda/stream.hpp"

#include <algorithm>
#include <chrono>
#include <exception>
#include <limits>
#include <mutex>
#include <thread>
#include <utility>

#include "dsr/core/cuda.hpp"
#include "dsr/core/error.hpp"
#include "libdsr/core/cuda/check.hpp"
#include "libdsr/core/cuda_device.hpp"

namespace dsr::detail {

class EventPool {
 public:
  explicit EventPool(int device) : device_(device) {}
  EventPool(EventPool const&) = delete;
  EventPool& operator=(EventPool const&) = delete;
  ~EventPool() {
    for (cudaEvent_t event : free_) cudaEventDestroy(event);
  }

  cudaEvent_t take() {
    {
      std::lock_guard const lock{mutex_};
      if (!free_.empty()) {
        cudaEvent_t const event = free_.back();
        free_.pop_back();
        return event;
      }
    }
    CurrentDevice const current{device_};
    cudaEvent_t event = nullptr;
    check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
    return event;
  }

  /// An event that others still wait for may be recorded again: they wait for what it stood for
  /// when they were told.
  void give_back(cudaEvent_t event) {
    std::lock_guard const lock{mutex_};
    free_.push_back(event);
  }

 private:
  int device_;
  std::mutex mutex_;
  std::vector<cudaEvent_t> free_;
};

class HostFailure {
 public:
  /// Runs call number `number` of the stream, unless an earlier one failed.
  void run(std::function<void()> const& work, std::uint64_t number) noexcept {
    if (failed_before(number)) return;
    try {
      work();
    } catch (...) {
      std::lock_guard const lock{mutex_};
      error_ = std::current_exception();
      failed_ = number;
    }
  }

  void rethrow_before(std::uint64_t number) {
    if (failed_before(number)) std::rethrow_exception(error_);
  }

 private:
  bool failed_before(std::uint64_t number) {
    std::lock_guard const lock{mutex_};
    return failed_ < number;
  }

  std::mutex mutex_;
  std::uint64_t failed_ = std::numeric_limits<std::uint64_t>::max();
  std::exception_ptr error_;  // written once, before failed_
};

namespace {

/// Between two looks at a queue that others watch. A look costs about a microsecond.
constexpr std::chrono::microseconds kNap{50};
constexpr int kYields = 32;

void look_at_all(Watchers const& watchers, double waited_s) {
  for (std::weak_ptr<Watcher> const& each : watchers) {
    if (auto const watcher = each.lock()) watcher->look(waited_s);
  }
}

class CudaEvent final : public EventState {
 public:
  CudaEvent(std::shared_ptr<EventPool> pool, std::shared_ptr<HostFailure> failure,
            std::uint64_t host_calls, std::shared_ptr<Watchers const> watchers, StreamKind kind)
      : pool_(std::move(pool)),
        failure_(std::move(failure)),
        host_calls_(host_calls),
        watchers_(std::move(watchers)),
        kind_(kind),
        event_(pool_->take()) {}
  CudaEvent(CudaEvent const&) = delete;
  CudaEvent& operator=(CudaEvent const&) = delete;
  ~CudaEvent() override { pool_->give_back(event_); }

  cudaEvent_t event() const { return event_; }
  std::shared_ptr<Watchers const> const& watchers() const { return watchers_; }
  /// Of the stream that it was recorded on.
  StreamKind kind() const { return kind_; }

  bool done() const override {
    cudaError_t const status = cudaEventQuery(event_);
    if (status == cudaErrorNotReady) {
      cudaGetLastError();  // no error, and the next launch must not report it as one
      return false;
    }
    check(status);
    return true;
  }

  void wait() const override {
    if (watchers_ == nullptr) {
      check(cudaEventSynchronize(event_));
    } else {
      wait_watched();
    }
    failure_->rethrow_before(host_calls_);
  }

 private:
  void wait_watched() const {
    using Clock = std::chrono::steady_clock;
    auto const start = Clock::now();
    for (int polls = 0; !done(); ++polls) {
      if (polls < kYields) {
        std::this_thread::yield();
        continue;
      }
      look_at_all(*watchers_, std::chrono::duration<double>(Clock::now() - start).count());
      std::this_thread::sleep_for(kNap);
    }
    // A collective that was aborted ends, and leaves its operands as they are.
    look_at_all(*watchers_, 0);
  }

  std::shared_ptr<EventPool> pool_;
  std::shared_ptr<HostFailure> failure_;
  std::uint64_t host_calls_;
  std::shared_ptr<Watchers const> watchers_;
  StreamKind kind_;
  cudaEvent_t event_;
};

struct HostCall {
  std::function<void()> work;
  std::shared_ptr<HostFailure> failure;
  std::uint64_t number;
};

void CUDART_CB run_host_call(void* data) {
  std::unique_ptr<HostCall> const call{static_cast<HostCall*>(data)};
  call->failure->run(call->work, call->number);
}

CudaStream* cuda_state(Stream& stream) {
  return dynamic_cast<CudaStream*>(&StreamAccess::state(stream));
}

}  // namespace

CudaStream::CudaStream(Device device, StreamKind kind, cudaStream_t queue, Owner owner)
    : StreamState(device, kind),
      queue_(queue),
      owner_(owner),
      pool_(std::make_shared<EventPool>(device.index)),
      failure_(std::make_shared<HostFailure>()),
      waits_(device.index) {}

CudaStream::~CudaStream() {
  if (owner_ == Owner::stream) cudaStreamDestroy(queue_);
}

void CudaStream::watch(std::shared_ptr<Watcher> const& watcher) { add(watcher); }

void CudaStream::add(std::weak_ptr<Watcher> const& watcher) {
  auto const same = [&](std::weak_ptr<Watcher> const& other) {
    return !other.owner_before(watcher) && !watcher.owner_before(other);
  };
  if (watchers_ != nullptr && std::ranges::any_of(*watchers_, same)) return;
  auto longer = std::make_shared<Watchers>();
  if (watchers_ != nullptr) {
    std::ranges::copy_if(*watchers_, std::back_inserter(*longer),
                         [](auto const& each) { return !each.expired(); });
  }
  longer->push_back(watcher);
  watchers_ = std::move(longer);
}

void CudaStream::run(std::function<void()> work) {
  cudaStreamCaptureStatus capture = cudaStreamCaptureStatusNone;
  check(cudaStreamIsCapturing(queue_, &capture));
  if (capture != cudaStreamCaptureStatusNone) {
    throw InvalidArgument(
        problem("Stream::run", "the stream is captured in a graph, which would run the work again",
                "host work outside of captures"));
  }
  auto call = std::make_unique<HostCall>(HostCall{std::move(work), failure_, host_calls_});
  check(cudaLaunchHostFunc(queue_, run_host_call, call.get()));
  static_cast<void>(call.release());  // run_host_call owns it now
  ++host_calls_;
}

std::shared_ptr<EventState> CudaStream::record() {
  auto event = std::make_shared<CudaEvent>(pool_, failure_, host_calls_, watchers_, kind());
  check(cudaEventRecord(event->event(), queue_));
  return event;
}

void CudaStream::wait(std::shared_ptr<EventState> const& event) {
  auto const* const on_cuda = dynamic_cast<CudaEvent const*>(event.get());
  if (on_cuda == nullptr) return event->wait();
  if (kind() == StreamKind::compute && on_cuda->kind() != StreamKind::compute) {
    Span const standstill{waits_, queue_};
    check(cudaStreamWaitEvent(queue_, on_cuda->event(), 0));
  } else {
    check(cudaStreamWaitEvent(queue_, on_cuda->event(), 0));
  }
  if (on_cuda->watchers() == nullptr || on_cuda->watchers() == watchers_) return;
  for (std::weak_ptr<Watcher> const& each : *on_cuda->watchers()) {
    if (!each.expired()) add(each);
  }
}

std::unique_ptr<StreamState> make_cuda_stream(Device device, StreamKind kind) {
  require_cuda(device);
  CurrentDevice const current{device.index};
  int lowest = 0;
  int highest = 0;
  check(cudaDeviceGetStreamPriorityRange(&lowest, &highest));
  cudaStream_t queue = nullptr;
  check(cudaStreamCreateWithPriority(&queue, cudaStreamNonBlocking,
                                     kind == StreamKind::compute ? lowest : highest));
  return std::make_unique<CudaStream>(device, kind, queue, CudaStream::Owner::stream);
}

void watch(Stream& stream, std::shared_ptr<Watcher> const& watcher) {
  if (CudaStream* const state = cuda_state(stream)) state->watch(watcher);
}

}  // namespace dsr::detail

namespace dsr {

cudaStream_t native(Stream& stream) {
  detail::CudaStream* const state = detail::cuda_state(stream);
  if (state == nullptr) {
    throw InvalidArgument(
        problem("native", "a stream on " + to_string(stream.device()), "a stream on cuda"));
  }
  detail::check(cudaSetDevice(state->device().index));
  return state->queue();
}

Stream view(cudaStream_t stream, int device) {
  Device const on{Device::Kind::cuda, device};
  require_device(on);
  return detail::StreamAccess::make(std::make_unique<detail::CudaStream>(
      on, StreamKind::compute, stream, detail::CudaStream::Owner::caller));
}

}  // namespace dsr
