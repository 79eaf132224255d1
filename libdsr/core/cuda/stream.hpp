// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Streams and events on CUDA, and those who watch them: a queue that waits for a lost peer never
/// ends, so whoever waits for it asks from time to time whether it still can.
///
///     watch(stream, communicator);   // a wait for `stream` may now throw what its look() throws
#include <cuda_runtime_api.h>

#include <memory>
#include <vector>

#include "dsr/core/stream.hpp"
#include "libdsr/core/cuda/spans.hpp"
#include "libdsr/core/stream_state.hpp"

namespace dsr::detail {

/// Outlived by those who wait: they hold weak pointers.
class Watcher {
 public:
  virtual ~Watcher() = default;
  /// Throws if the work can never end. `waited_s`: how long the caller has waited so far.
  virtual void look(double waited_s) = 0;
};
using Watchers = std::vector<std::weak_ptr<Watcher>>;

/// Adds a watcher to a CUDA stream, once. Streams that wait for events of this one are watched by
/// it too.
void watch(Stream& stream, std::shared_ptr<Watcher> const& watcher);

/// Events of one device, used again and again: making one costs more than recording it.
/// Thread-safe.
class EventPool;
/// What host work on a stream threw.
class HostFailure;

class CudaStream final : public StreamState {
 public:
  enum class Owner : std::uint8_t { stream, caller };

  CudaStream(Device device, StreamKind kind, cudaStream_t queue, Owner owner);
  /// Does not wait: what is queued runs on, and the queue is freed after it.
  ~CudaStream() override;

  cudaStream_t queue() const { return queue_; }
  void watch(std::shared_ptr<Watcher> const& watcher);

  void run(std::function<void()> work) override;
  std::shared_ptr<EventState> record() override;
  void wait(std::shared_ptr<EventState> const& event) override;
  void synchronize() override { record()->wait(); }
  double waited_s() override { return waits_.seconds(); }
  void reset_waited() override { waits_.reset(); }
  /// What waited_s() adds up.
  Spans& waits() { return waits_; }

 private:
  void add(std::weak_ptr<Watcher> const& watcher);

  cudaStream_t queue_;
  Owner owner_;
  std::shared_ptr<EventPool> pool_;
  std::shared_ptr<HostFailure> failure_;
  std::shared_ptr<Watchers const> watchers_;  // shared with events, so replaced and never changed
  Spans waits_;                               // for events of communication streams
  std::uint64_t host_calls_ = 0;
};

}  // namespace dsr::detail
