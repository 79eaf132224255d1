// SPDX-License-Identifier: Apache-2.0
#include "libdsr/ops/cuda/gemm_timing.hpp"

#include <algorithm>
#include <cmath>
#include <exception>
#include <optional>
#include <vector>

#include "dsr/core/cuda.hpp"
#include "dsr/core/error.hpp"
#include "libdsr/core/cuda/check.hpp"

namespace dsr::detail {
namespace {

constexpr double kWarmUp_us = 30'000;  ///< of continuous work before the first sample
constexpr double kSample_us = 2'000;   ///< work in one sample
constexpr int kRounds = 7, kMostCalls = 50;
constexpr double kFarSlower = 1.15;  ///< than the fastest, after the first round
constexpr double kNoise = 1.002;     ///< within it the earlier candidate wins

/// A GPU at its power limit runs slower the more an algorithm draws, and takes some tens of
/// milliseconds to show it: the best of the rounds run once more, each long enough for that.
constexpr double kClose = 1.04;
constexpr std::size_t kMostFinalists = 4;
constexpr double kSettle_us = 60'000, kSustained_us = 90'000;
constexpr int kFinalRounds = 2;
constexpr double kShort_us = 30;  ///< of products that leave the GPU too idle to reach its limit

/// A pair of events around some work.
class Timer {
 public:
  Timer() {
    check(cudaEventCreate(&begin_));
    check(cudaEventCreate(&end_));
  }
  ~Timer() {
    cudaEventDestroy(begin_);
    cudaEventDestroy(end_);
  }
  Timer(Timer const&) = delete;
  Timer& operator=(Timer const&) = delete;

  /// Mean time of a call; waits for it.
  double us(int calls, std::function<void()> const& call, cudaStream_t stream) {
    check(cudaEventRecord(begin_, stream));
    for (int i = 0; i < calls; ++i) call();
    check(cudaEventRecord(end_, stream));
    check(cudaEventSynchronize(end_));
    float ms = 0;
    check(cudaEventElapsedTime(&ms, begin_, end_));
    return static_cast<double>(ms) * 1e3 / calls;
  }

 private:
  cudaEvent_t begin_ = nullptr, end_ = nullptr;
};

struct Entry {
  int candidate;
  std::vector<double> samples;
  double median() const {
    std::vector<double> sorted = samples;
    auto const middle = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
    std::nth_element(sorted.begin(), middle, sorted.end());
    return *middle;
  }
};

double best(std::vector<Entry> const& entries) {
  double least = entries.front().median();
  for (Entry const& entry : entries) least = std::min(least, entry.median());
  return least;
}

/// The few that are close to the best, best first.
void keep_finalists(std::vector<Entry>& entries) {
  double const limit = kClose * best(entries);
  std::erase_if(entries, [&](Entry const& entry) { return entry.median() > limit; });
  std::ranges::stable_sort(entries, {}, &Entry::median);
  if (entries.size() > kMostFinalists) entries.erase(entries.begin() + kMostFinalists, entries.end());
}

/// Calls that take so long, at `once` each.
int calls_in(double us, double once_us) {
  return std::clamp(static_cast<int>(std::ceil(us / once_us)), 1, 20'000);
}

/// Candidates that run at all.
std::vector<Entry> those_that_run(int count, std::function<void(int)> const& call) {
  std::vector<Entry> entries;
  std::exception_ptr error;
  for (int i = 0; i < count; ++i) {
    try {
      call(i);
      entries.push_back({i, {}});
    } catch (CudaError const&) {
      if (error == nullptr) error = std::current_exception();
    }
  }
  if (entries.empty() && error != nullptr) std::rethrow_exception(error);
  return entries;
}

}  // namespace

Fastest fastest(int count, std::function<void(int candidate)> const& call, Stream& stream) {
  cudaStream_t const queue = native(stream);
  Timer timer;
  std::vector<Entry> entries = those_that_run(count, call);
  check(cudaStreamSynchronize(queue));
  int const first = entries.front().candidate;
  double const once = std::max(1.0, timer.us(
                                        3, [&] { call(first); }, queue));
  timer.us(
      std::clamp(static_cast<int>(kWarmUp_us / once), 1, 10 * kMostCalls), [&] { call(first); },
      queue);

  int const calls = std::clamp(static_cast<int>(std::ceil(kSample_us / once)), 1, kMostCalls);
  for (int round = 0; round < kRounds; ++round) {
    for (Entry& entry : entries) {
      entry.samples.push_back(timer.us(
          calls, [&] { call(entry.candidate); }, queue));
    }
    if (round > 0) continue;
    double const limit = kFarSlower * best(entries);
    std::erase_if(entries, [&](Entry const& entry) { return entry.median() > limit; });
  }
  keep_finalists(entries);
  if (entries.size() > 1 && once >= kShort_us) {
    for (Entry& entry : entries) entry.samples.clear();
    for (int round = 0; round < kFinalRounds; ++round) {
      for (Entry& entry : entries) {
        auto const again = [&] { call(entry.candidate); };
        timer.us(calls_in(kSettle_us, once), again, queue);
        entry.samples.push_back(timer.us(calls_in(kSustained_us, once), again, queue));
      }
    }
  }
  double const limit = kNoise * best(entries);
  auto const chosen = std::find_if(entries.begin(), entries.end(),
                                   [&](Entry const& entry) { return entry.median() <= limit; });
  return {chosen->candidate, chosen->median()};
}

}  // namespace dsr::detail
