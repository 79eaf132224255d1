// SPDX-License-Identifier: Apache-2.0
#include "dsr/checkpoint/staging.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <numeric>
#include <thread>

#include "dsr/core/error.hpp"
#include "dsr/core/transfer.hpp"
#include "libdsr/checkpoint/stream_copy.hpp"

namespace dsr {
namespace {

constexpr Size kLeastRing_bytes = 4096;
constexpr Size kShare_bytes = Size{8} << 20;  ///< that one of several threads copies at a time

std::byte const* address(StatePiece const& piece) {
  return static_cast<std::byte const*>(piece.local.raw());
}

/// The order of the pieces in memory, where those of one flat buffer lie side by side.
std::vector<std::size_t> by_address(std::vector<StatePiece> const& pieces) {
  std::vector<std::size_t> order(pieces.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::sort(order, std::less<>{}, [&](std::size_t i) { return address(pieces[i]); });
  return order;
}

}  // namespace

void StagingOptions::validate() const {
  auto const require = [](bool fits, char const* key, Size value, char const* allowed) {
    if (!fits) throw InvalidArgument(problem(key, std::to_string(value), allowed));
  };
  require(bytes == 0 || bytes >= kLeastRing_bytes, "checkpoint.staging_bytes", bytes,
          "0 (the rank's state) or at least 4096");
  require(limit_bytes_per_s >= 0, "checkpoint.limit_bytes_per_s", limit_bytes_per_s, ">= 0");
  require(threads >= 1, "checkpoint.threads", threads, ">= 1");
}

Staging::Staging(Device device, StagingOptions options)
    : device_{device}, options_{(options.validate(), options)}, stream_{device} {}

Staging::~Staging() = default;

void Staging::reserve(State const& state, Mesh const& mesh) {
  lay_out(stored_by(state, mesh));
  make_memory();
}

/// Without a bound a run is copied at once, however many pieces it holds; with one, pieces come in
/// the order in which they are written, each cut to what there is room for.
void Staging::lay_out(std::vector<StatePiece> const& pieces) {
  pieces_.clear();
  begins_.clear();
  runs_.clear();
  Size all = 0;
  for (StatePiece const& piece : pieces) {
    pieces_.push_back({piece.name, piece.global, piece.dtype, piece.box, {}});
    begins_.push_back(all);
    all += piece.local.bytes();
  }
  whole_ = options_.bytes == 0 || options_.bytes >= all;
  if (!whole_) {
    for (std::size_t i = 0; i < pieces.size(); ++i)
      runs_.push_back(
          {address(pieces[i]), pieces[i].local.device(), pieces[i].local.bytes(), begins_[i]});
    needed_ = options_.bytes;
    return;
  }
  Size end = 0;
  std::vector<Size> places(pieces.size());
  for (std::size_t const i : by_address(pieces)) {
    StatePiece const& piece = pieces[i];
    bool const follows = !runs_.empty() && runs_.back().device == piece.local.device() &&
                         runs_.back().from + runs_.back().bytes == address(piece);
    if (!follows) {
      end = round_up(end, kAlignment_bytes);
      runs_.push_back({address(piece), piece.local.device(), 0, end});
    }
    places[i] = end;
    runs_.back().bytes += piece.local.bytes();
    end += piece.local.bytes();
  }
  needed_ = end;
  begins_ = std::move(places);
}

void Staging::make_memory() {
  if (memory_.bytes() >= needed_ && memory_.data() != nullptr) return;
  auto const start = std::chrono::steady_clock::now();
  memory_ = Buffer{};  // first, or both would be there at once
  if (device_.kind == Device::Kind::cuda) {
    memory_ = Buffer::pinned(needed_);
  } else {
    memory_ = Buffer{needed_, kCpu};
    std::memset(memory_.data(), 0, static_cast<std::size_t>(needed_));
  }
  reserve_s_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void Staging::begin(State const& state, Mesh const& mesh) {
  std::vector<StatePiece> const pieces = stored_by(state, mesh);
  lay_out(pieces);
  make_memory();
  for (std::size_t i = 0; whole_ && i < pieces.size(); ++i)
    pieces_[i].bytes = {memory() + begins_[i], static_cast<std::size_t>(pieces[i].local.bytes())};
  std::lock_guard const lock{mutex_};
  copied_ = freed_ = 0;
  given_back_.clear();
  abandoned_ = false;
  error_.clear();
}

void Staging::copy() {
  try {
    if (!whole_) {
      copy_through_ring();
    } else if (device_.kind == Device::Kind::cpu) {
      copy_on_host();
    } else {
      for (Run const& run : runs_) copy_run(run);
      stream_.synchronize();
    }
    if (whole_) publish(needed_);
  } catch (std::exception const& error) {
    std::lock_guard const lock{mutex_};
    error_ = error.what();
    abandoned_ = true;
    changed_.notify_all();
  }
}

/// Enqueued.
void Staging::copy_run(Run const& run) {
  Shape const shape{run.bytes};
  // Tensor views memory that may change; this one is only read.
  auto* const from = const_cast<std::byte*>(run.from);
  transfer(Tensor{from, shape, DType::u8, run.device},
           Tensor{memory() + run.to, shape, DType::u8, kCpu}, stream_);
}

void Staging::copy_on_host() {
  std::vector<Run> shares;
  for (Run const& run : runs_) {
    for (Size at = 0; at < run.bytes; at += kShare_bytes)
      shares.push_back(
          {run.from + at, run.device, std::min(kShare_bytes, run.bytes - at), run.to + at});
  }
  std::atomic<std::size_t> next{0};
  auto const work = [&] {
    for (std::size_t i = next++; i < shares.size(); i = next++)
      detail::stream_copy(shares[i].from, memory() + shares[i].to, shares[i].bytes);
  };
  std::vector<std::thread> others;
  for (int i = 1; i < options_.threads && i < std::ssize(shares); ++i) others.emplace_back(work);
  work();
  for (std::thread& other : others) other.join();
}

/// How many bytes may be copied to place `at`, at most `most`; waits for the first. 0: abandoned.
Size Staging::room_at(Size at, Size most) {
  Size const ring = needed_;
  std::unique_lock lock{mutex_};
  changed_.wait(lock, [&] { return abandoned_ || at - freed_ < ring; });
  if (abandoned_) return 0;
  // A quarter at a time, so that the writer is busy with one while the next is copied.
  return std::min({most, ring - (at - freed_), ring - at % ring, ring / 4});
}

void Staging::copy_through_ring() {
  for (Run const& run : runs_) {
    for (Size done = 0; done < run.bytes;) {
      Size const at = run.to + done;
      Size const bytes = room_at(at, run.bytes - done);
      if (bytes == 0) return;
      copy_run({run.from + done, run.device, bytes, at % needed_});
      stream_.synchronize();
      done += bytes;
      publish(at + bytes);
    }
  }
}

void Staging::publish(Size until) {
  std::lock_guard const lock{mutex_};
  copied_ = until;
  changed_.notify_all();
}

std::span<std::byte const> Staging::take(std::size_t piece, Size at, Size most) {
  Size const begin = begins_[piece] + at;
  std::unique_lock lock{mutex_};
  changed_.wait(lock, [&] { return abandoned_ || copied_ > begin; });
  if (abandoned_)
    throw Error(problem("checkpoint: staging", error_.empty() ? "abandoned" : error_, "a copy"));
  if (whole_) return {memory() + begin, static_cast<std::size_t>(most)};
  Size const bytes = std::min({most, copied_ - begin, needed_ - begin % needed_});
  return {memory() + begin % needed_, static_cast<std::size_t>(bytes)};
}

void Staging::give_back(std::size_t piece, Size at, Size bytes) {
  if (whole_) return;
  std::lock_guard const lock{mutex_};
  Size const begin = begins_[piece] + at;
  given_back_[begin] = begin + bytes;
  for (auto first = given_back_.begin(); first != given_back_.end() && first->first == freed_;
       first = given_back_.erase(first))
    freed_ = first->second;
  changed_.notify_all();
}

void Staging::abandon() noexcept {
  std::lock_guard const lock{mutex_};
  abandoned_ = true;
  changed_.notify_all();
}

}  // namespace dsr
