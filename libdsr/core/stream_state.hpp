// SPDX-License-Identifier: Apache-2.0
#pragma once
/// What stands behind Stream and Event: one StreamState per kind of device and queue.
///
/// A state is called from the one host thread that issues work. A null event has happened already.
#include <functional>
#include <memory>
#include <typeindex>
#include <unordered_map>

#include "dsr/core/stream.hpp"

namespace dsr::detail {

/// Thread-safe.
class EventState {
 public:
  virtual ~EventState() = default;
  virtual bool done() const = 0;
  /// Blocks; rethrows what the stream's work threw.
  virtual void wait() const = 0;
};

class StreamState {
 public:
  StreamState(Device device, StreamKind kind) : device_(device), kind_(kind) {}
  StreamState(StreamState const&) = delete;
  StreamState& operator=(StreamState const&) = delete;
  /// Runs what is queued.
  virtual ~StreamState() = default;

  virtual void run(std::function<void()> work) = 0;
  virtual std::shared_ptr<EventState> record() = 0;
  virtual void wait(std::shared_ptr<EventState> const& event) = 0;
  virtual void synchronize() = 0;

  Device device() const { return device_; }
  StreamKind kind() const { return kind_; }
  Work& work() { return work_; }
  virtual double waited_s() { return waited_s_; }
  virtual void reset_waited() { waited_s_ = 0; }

  /// What a backend keeps for a stream, such as handles and workspaces: one T of each kind, made
  /// from the device on first use and destroyed with the stream, after its queue.
  template <class T>
  T& resource() {
    std::shared_ptr<void>& kept = resources_[std::type_index(typeid(T))];
    if (kept == nullptr) kept = std::make_shared<T>(device_);
    return *static_cast<T*>(kept.get());
  }

 protected:
  /// Blocks the calling thread, and counts the seconds, also if the event brings an exception.
  void block_on(EventState const& event);

 private:
  Device device_;
  StreamKind kind_;
  Work work_;
  double waited_s_ = 0;
  std::unordered_map<std::type_index, std::shared_ptr<void>> resources_;
};

/// From a Stream to its state and back, for backends.
struct StreamAccess {
  static StreamState& state(Stream& stream) { return *stream.state_; }
  static Stream make(std::unique_ptr<StreamState> state) { return Stream{std::move(state)}; }
};

std::unique_ptr<StreamState> make_inline_stream(Device device, StreamKind kind);
std::unique_ptr<StreamState> make_worker_stream(Device device, StreamKind kind);
std::unique_ptr<StreamState> make_meta_stream(Device device, StreamKind kind);

}  // namespace dsr::detail
