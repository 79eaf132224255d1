// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Spans: how long stretches of a device's queues took, measured on the device and read later.
///
///     { Span const span{spans, queue};  …enqueue on queue…; }
///     double const so_far = spans.seconds();                 // never waits for the device
///
/// A stretch lies between two timing events on one queue, so it begins when all work before it has
/// run and ends when its own has: the time that a collective takes, its waiting for other ranks
/// included, or that a queue stands still at a wait. Both need no common clock, and cost a record
/// of about a microsecond at each end. Intersecting the collectives' stretches with the gaps of the
/// compute queue would say the same, for a record around every kernel.
///
/// Off until somebody asks for seconds(): before that open() is one comparison. While a queue is
/// captured in a graph nothing is measured.
#include <cuda_runtime_api.h>

#include <atomic>
#include <mutex>
#include <vector>

namespace dsr::detail {

/// In seconds after the event given to keep().
struct Interval {
  double begin_s = 0, end_s = 0;
};

/// Neither copies nor moves. Thread-safe, and stretches of one Spans do not nest.
class Spans {
 public:
  explicit Spans(int device) : device_(device) {}
  ~Spans();
  Spans(Spans const&) = delete;
  Spans& operator=(Spans const&) = delete;

  /// Begins a stretch; false, and close() must not follow, if nobody asked.
  bool open(cudaStream_t queue);
  void close(cudaStream_t queue);

  /// The sum of all stretches whose end has been reached. Measures from its first call on.
  double seconds();
  /// Starts the sum anew; a stretch whose end is yet to come counts afterwards.
  void reset();

  /// From now on intervals are kept besides, counted from `origin`, a timing event that was
  /// recorded and lives; null ends it.
  void keep(cudaEvent_t origin);
  /// What was kept, of stretches that seconds() has counted.
  std::vector<Interval> take_intervals();

 private:
  struct Ends {
    cudaEvent_t begin = nullptr, end = nullptr;
  };
  cudaEvent_t take();
  void collect();

  int device_;
  std::atomic<bool> on_{false};
  std::mutex mutex_;
  cudaEvent_t begun_ = nullptr;
  cudaEvent_t origin_ = nullptr;
  double total_s_ = 0;
  std::vector<Ends> pending_;  // in the order of close()
  std::vector<cudaEvent_t> free_;
  std::vector<Interval> kept_;
};

/// One stretch, the length of a scope. Neither copies nor moves.
class Span {
 public:
  Span(Spans& spans, cudaStream_t queue)
      : spans_(spans.open(queue) ? &spans : nullptr), queue_(queue) {}
  /// Drops errors: whoever waits for the queue is told of them.
  ~Span();
  Span(Span const&) = delete;
  Span& operator=(Span const&) = delete;

 private:
  Spans* spans_;
  cudaStream_t queue_;
};

}  // namespace dsr::detail
