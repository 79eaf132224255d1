// SPDX-License-Identifier: Apache-2.0
#include "libdsr/core/cuda/spans.hpp"

#include <utility>

#include "dsr/core/error.hpp"
#include "libdsr/core/cuda/check.hpp"

namespace dsr::detail {
namespace {

double seconds_between(cudaEvent_t begin, cudaEvent_t end) {
  float ms = 0;
  check(cudaEventElapsedTime(&ms, begin, end));
  return static_cast<double>(ms) * 1e-3;
}

/// "Not ready" must not be reported again by the next launch.
bool reached(cudaEvent_t event) {
  cudaError_t const status = cudaEventQuery(event);
  if (status == cudaErrorNotReady) {
    cudaGetLastError();
    return false;
  }
  check(status);
  return true;
}

bool captured(cudaStream_t queue) {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  check(cudaStreamIsCapturing(queue, &status));
  return status != cudaStreamCaptureStatusNone;
}

}  // namespace

Spans::~Spans() {
  for (Ends const& span : pending_) {
    cudaEventDestroy(span.begin);
    cudaEventDestroy(span.end);
  }
  for (cudaEvent_t event : free_) cudaEventDestroy(event);
  if (begun_ != nullptr) cudaEventDestroy(begun_);
}

cudaEvent_t Spans::take() {
  if (free_.empty()) {
    CurrentDevice const current{device_};
    cudaEvent_t event = nullptr;
    check(cudaEventCreate(&event));
    return event;
  }
  cudaEvent_t const event = free_.back();
  free_.pop_back();
  return event;
}

bool Spans::open(cudaStream_t queue) {
  if (!on_.load(std::memory_order_relaxed) || captured(queue)) return false;
  std::lock_guard const lock{mutex_};
  // What is left of a stretch that an error cut off is begun again.
  if (begun_ == nullptr) begun_ = take();
  check(cudaEventRecord(begun_, queue));
  return true;
}

void Spans::close(cudaStream_t queue) {
  std::lock_guard const lock{mutex_};
  cudaEvent_t const end = take();
  free_.push_back(end);  // not lost if the record fails
  check(cudaEventRecord(end, queue));
  free_.pop_back();
  pending_.push_back({std::exchange(begun_, nullptr), end});
}

void Spans::collect() {
  std::size_t done = 0;
  for (; done < pending_.size() && reached(pending_[done].end); ++done) {
    auto const [begin, end] = pending_[done];
    double const length_s = seconds_between(begin, end);
    total_s_ += length_s;
    if (origin_ != nullptr) {
      double const begin_s = seconds_between(origin_, begin);
      kept_.push_back({begin_s, begin_s + length_s});
    }
    free_.push_back(begin);
    free_.push_back(end);
  }
  pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(done));
}

double Spans::seconds() {
  std::lock_guard const lock{mutex_};
  on_ = true;
  collect();
  return total_s_;
}

void Spans::reset() {
  std::lock_guard const lock{mutex_};
  collect();
  total_s_ = 0;
}

void Spans::keep(cudaEvent_t origin) {
  std::lock_guard const lock{mutex_};
  collect();
  origin_ = origin;
  kept_.clear();
}

std::vector<Interval> Spans::take_intervals() {
  std::lock_guard const lock{mutex_};
  return std::exchange(kept_, {});
}

Span::~Span() {
  if (spans_ == nullptr) return;
  try {
    spans_->close(queue_);
  } catch (Error const&) {
  }
}

}  // namespace dsr::detail
