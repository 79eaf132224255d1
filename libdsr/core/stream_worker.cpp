// SPDX-License-Identifier: Apache-2.0
// The CPU's communication stream: one thread that takes work in order and sleeps when there is
// none.
#include <atomic>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

#include "libdsr/core/stream_state.hpp"

namespace dsr::detail {
namespace {

/// How often a waiting thread offers its core to others before it sleeps: a few tens of
/// microseconds, less than falling asleep and being woken costs, and harmless where ranks outnumber
/// cores.
constexpr int kYields = 32;

class WorkerEvent final : public EventState {
 public:
  bool done() const override { return done_.load(std::memory_order_acquire); }

  void wait() const override {
    for (int i = 0; i < kYields && !done(); ++i) std::this_thread::yield();
    if (!done()) {
      std::unique_lock lock{mutex_};
      happened_.wait(lock, [this] { return done(); });
    }
    if (failure_) std::rethrow_exception(failure_);
  }

  void complete(std::exception_ptr failure) {
    {
      std::lock_guard const lock{mutex_};
      failure_ = std::move(failure);
      done_.store(true, std::memory_order_release);
    }
    happened_.notify_all();
  }

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable happened_;
  std::atomic<bool> done_{false};
  std::exception_ptr failure_;  // written before done_ is set, read after
};

/// Either work, or an event to complete.
struct Item {
  std::function<void()> work;
  std::shared_ptr<WorkerEvent> event;
};

class WorkerStream final : public StreamState {
 public:
  WorkerStream(Device device, StreamKind kind)
      : StreamState(device, kind), worker_([this] { serve(); }) {}

  ~WorkerStream() override {
    {
      std::lock_guard const lock{mutex_};
      stopping_ = true;
    }
    changed_.notify_one();
    worker_.join();
  }

  void run(std::function<void()> work) override { push({std::move(work), nullptr}); }

  std::shared_ptr<EventState> record() override {
    {
      std::lock_guard const lock{mutex_};
      if (idle_ && queue_.empty() && !failed_) return nullptr;
    }
    auto event = std::make_shared<WorkerEvent>();
    push({nullptr, event});
    return event;
  }

  void wait(std::shared_ptr<EventState> const& event) override {
    run([event] { event->wait(); });
  }

  void synchronize() override {
    if (auto const event = record()) block_on(*event);
  }

 private:
  void push(Item item) {
    {
      std::lock_guard const lock{mutex_};
      queue_.push_back(std::move(item));
    }
    changed_.notify_one();
  }

  void serve() {
    std::exception_ptr failure;
    std::unique_lock lock{mutex_};
    for (;;) {
      changed_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      if (queue_.empty()) return;
      Item item = std::move(queue_.front());
      queue_.pop_front();
      idle_ = false;
      lock.unlock();
      process(item, failure);
      item = {};  // what the work captured dies before the stream counts as idle
      lock.lock();
      idle_ = true;
      failed_ = failure != nullptr;
    }
  }

  static void process(Item& item, std::exception_ptr& failure) {
    if (item.event) {
      item.event->complete(failure);
    } else if (!failure) {
      try {
        item.work();
      } catch (...) {
        failure = std::current_exception();
      }
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Item> queue_;
  bool idle_ = true, failed_ = false, stopping_ = false;
  std::thread worker_;  // last: it uses all of the above
};

}  // namespace

std::unique_ptr<StreamState> make_worker_stream(Device device, StreamKind kind) {
  return std::make_unique<WorkerStream>(device, kind);
}

}  // namespace dsr::detail
