// SPDX-License-Identifier: Apache-2.0
#include "dsr/checkpoint/rate_limit.hpp"

#include <algorithm>
#include <chrono>
#include <string>
#include <thread>
#include <utility>

#include "dsr/core/error.hpp"

namespace dsr {
namespace {

double monotonic_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void sleep_for(double seconds) {
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
}

}  // namespace

RateLimit::RateLimit(Size bytes_per_s) : RateLimit{bytes_per_s, {monotonic_now, sleep_for}} {}

RateLimit::RateLimit(Size bytes_per_s, Clock clock)
    : bytes_per_s_{static_cast<double>(bytes_per_s)}, clock_{std::move(clock)} {
  if (bytes_per_s < 0) {
    throw InvalidArgument(problem("checkpoint.limit_bytes_per_s", std::to_string(bytes_per_s),
                                  "0 (no limit) or more", "0"));
  }
}

void RateLimit::take(Size bytes) {
  if (bytes_per_s_ == 0) return;
  double wait_s = 0;
  {
    std::lock_guard const lock{mutex_};
    double const now = clock_.now();
    double const begin = std::max(now, paid_until_);
    paid_until_ = begin + static_cast<double>(bytes) / bytes_per_s_;
    wait_s = begin - now;
  }
  if (wait_s > 0) clock_.sleep(wait_s);
}

}  // namespace dsr
