// SPDX-License-Identifier: Apache-2.0
#include "libdsr/comm/mpi/exchange.hpp"

#include <sched.h>

#include <algorithm>
#include <thread>

#include "dsr/core/error.hpp"
#include "libdsr/comm/mpi/check.hpp"

namespace dsr::detail {

namespace {

// MPI counts in int; a power of two below 2³¹ keeps the pieces aligned.
constexpr Size kMessage_bytes = Size{1} << 30;

// Chosen by benchmarks/collectives at 2 and 4 ranks on 2 cores, idle and beside compute threads. A
// yield is quick where all who share the core wait too; a slow one means that somebody computes,
// and then a sleeper gets the core back sooner than one who goes on yielding.
constexpr int kYields = 100;
constexpr std::chrono::microseconds kSlowYield{200};
constexpr std::chrono::microseconds kFirstSleep{20};
constexpr std::chrono::microseconds kLongestSleep{100};
// Who has waited for long, as a thread whose rank has written its file, sleeps for a hundredth of
// that: polls each 100 µs would take a tenth of a core from those who compute.
constexpr std::chrono::milliseconds kLongestAfterLong{2};

}  // namespace

void Backoff::reset() {
  pauses_ = 0;
  silent_since_ = {};
}

bool Backoff::pause() {
  auto const now = Clock::now();
  if (silent_since_ == Clock::time_point{}) silent_since_ = now;
  if (std::chrono::duration<double>(now - silent_since_).count() >= timeout_s_) return false;
  if (pauses_++ < kYields) {
    sched_yield();
    if (Clock::now() - now > kSlowYield) pauses_ = kYields;
    return true;
  }
  auto const growth = std::chrono::microseconds(pauses_ - kYields);
  auto const waited = std::chrono::duration_cast<std::chrono::microseconds>(now - silent_since_);
  auto const most =
      std::clamp<std::chrono::microseconds>(waited / 100, kLongestSleep, kLongestAfterLong);
  std::this_thread::sleep_for(std::min(most, kFirstSleep + growth));
  return true;
}

MPI_Request& Exchange::next(int peer) {
  peers_.push_back(peer);
  ++open_;
  return requests_.emplace_back(MPI_REQUEST_NULL);
}

void Exchange::send(std::byte const* data, Size bytes, int to, Kind kind) {
  for (Size at = 0; at < bytes; at += kMessage_bytes) {
    int const count = static_cast<int>(std::min(kMessage_bytes, bytes - at));
    check_mpi(MPI_Isend(data + at, count, MPI_BYTE, to, static_cast<int>(kind), comm_, &next(to)));
  }
}

void Exchange::receive(std::byte* data, Size bytes, int from, Kind kind) {
  for (Size at = 0; at < bytes; at += kMessage_bytes) {
    int const count = static_cast<int>(std::min(kMessage_bytes, bytes - at));
    check_mpi(
        MPI_Irecv(data + at, count, MPI_BYTE, from, static_cast<int>(kind), comm_, &next(from)));
  }
}

void Exchange::send_signal(int to) {
  check_mpi(
      MPI_Isend(nullptr, 0, MPI_BYTE, to, static_cast<int>(Kind::collective), comm_, &next(to)));
}

void Exchange::receive_signal(int from) {
  check_mpi(MPI_Irecv(nullptr, 0, MPI_BYTE, from, static_cast<int>(Kind::collective), comm_,
                      &next(from)));
}

bool Exchange::poll() {
  int completed = 0;
  int const status = MPI_Testsome(static_cast<int>(requests_.size()), requests_.data(), &completed,
                                  indices_.data(), statuses_.data());
  if (status == MPI_ERR_IN_STATUS) {
    for (int i = 0; i < completed; ++i) check_mpi(statuses_[static_cast<std::size_t>(i)].MPI_ERROR);
  }
  check_mpi(status);
  if (completed == MPI_UNDEFINED) completed = static_cast<int>(open_);
  open_ -= static_cast<std::size_t>(completed);
  return completed > 0;
}

void Exchange::complete(double timeout_s) {
  if (requests_.size() > indices_.size()) {
    indices_.resize(requests_.size());
    statuses_.resize(requests_.size());
  }
  Backoff backoff(timeout_s);
  while (open_ > 0) {
    if (poll()) {
      backoff.reset();
    } else if (!backoff.pause()) {
      throw CommError(silence(timeout_s));
    }
  }
  requests_.clear();
  peers_.clear();
}

std::string Exchange::silence(double timeout_s) const {
  std::vector<int> silent;
  for (std::size_t i = 0; i < requests_.size(); ++i) {
    if (requests_[i] != MPI_REQUEST_NULL) silent.push_back(peers_[i]);
  }
  std::sort(silent.begin(), silent.end());
  silent.erase(std::unique(silent.begin(), silent.end()), silent.end());
  std::string text;
  for (int const peer : silent) text += (text.empty() ? "" : ", ") + std::to_string(peer);
  std::string seconds = std::to_string(timeout_s);
  seconds.erase(seconds.find_last_not_of('0') + 1);
  if (seconds.back() == '.') seconds.pop_back();
  return problem("wait", "nothing moved for " + seconds + " s between this rank and rank " + text +
                             " of the group");
}

void Exchange::abandon() noexcept {
  for (MPI_Request& request : requests_) {
    if (request == MPI_REQUEST_NULL) continue;
    MPI_Cancel(&request);
    MPI_Request_free(&request);
  }
  requests_.clear();
  peers_.clear();
  open_ = 0;
}

}  // namespace dsr::detail
