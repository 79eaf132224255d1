// SPDX-License-Identifier: Apache-2.0
#pragma once
/// RateLimit: what a disk or a network is left for others. A writer asks before each block.
///
///     RateLimit limit{200'000'000};          // bytes a second; 0: none
///     limit.take(bytes);                     // sleeps until so much may go on
///
/// A block may go as soon as those before it are paid for: over any time t that begins with the
/// first block, at most t·rate and one block more are written. Time that passed unused is lost.
#include <functional>
#include <mutex>

#include "dsr/core/shape.hpp"

namespace dsr {

/// Neither copies nor moves: threads share it. Thread-safe.
class RateLimit {
 public:
  /// Seconds of a clock that only goes forward, and the way to let some pass.
  struct Clock {
    std::function<double()> now;
    std::function<void(double)> sleep;
  };
  /// The system's monotonic clock. Throws InvalidArgument if bytes_per_s < 0.
  explicit RateLimit(Size bytes_per_s);
  RateLimit(Size bytes_per_s, Clock clock);
  RateLimit(RateLimit const&) = delete;
  RateLimit& operator=(RateLimit const&) = delete;

  void take(Size bytes);

 private:
  double bytes_per_s_;
  Clock clock_;
  std::mutex mutex_;
  double paid_until_ = 0;  ///< when the next block may go
};

}  // namespace dsr
