// SPDX-License-Identifier: Apache-2.0
#include "libdsr/checkpoint/block_writer.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>

#include "dsr/checkpoint/hash.hpp"
#include "libdsr/checkpoint/hashed_writes.hpp"

namespace dsr::detail {
namespace {

class BlockWriter {
 public:
  BlockWriter(File& file, Size bytes, std::span<Extent const> extents, PieceBytes& source,
              WriteOptions const& options)
      : file_(file),
        bytes_(bytes),
        extents_(extents),
        source_(source),
        options_(options),
        hashes_(static_cast<std::size_t>((bytes + kHashBlock_bytes - 1) / kHashBlock_bytes)) {}

  std::vector<std::string> write() {
    std::vector<std::thread> others;
    for (int i = 1; i < options_.threads && i < std::ssize(hashes_); ++i)
      others.emplace_back([this] { work(); });
    work();
    for (std::thread& other : others) other.join();
    if (error_) std::rethrow_exception(error_);
    return std::move(hashes_);
  }

 private:
  /// Blocks in ascending order over all threads: the source needs it.
  void work() {
    try {
      BlockHasher hasher;
      for (std::size_t block = next_++; block < hashes_.size() && !failed_; block = next_++) {
        write_block(static_cast<Size>(block) * kHashBlock_bytes, hasher);
        hashes_[block] = hasher.finish().front();
      }
    } catch (...) {
      std::lock_guard const lock{mutex_};
      if (!error_) error_ = std::current_exception();
      failed_ = true;
      source_.abandon();
    }
  }

  void write_block(Size begin, BlockHasher& hasher) {
    Size const end = std::min(bytes_, begin + kHashBlock_bytes);
    Size at = begin;
    auto extent = std::ranges::upper_bound(extents_, begin, {},
                                           [](Extent const& e) { return e.offset + e.bytes; });
    for (; extent != extents_.end() && extent->offset < end; ++extent) {
      Size const from = std::max(begin, extent->offset);
      Size const to = std::min(end, extent->offset + extent->bytes);
      hasher.add_zeros(from - at);
      for (at = from; at < to;) at += write_some(*extent, at, to - at, hasher);
    }
    hasher.add_zeros(end - at);
  }

  /// Bytes of an extent from `offset` of the file on, at most `most`; how many.
  Size write_some(Extent const& extent, Size offset, Size most, BlockHasher& hasher) {
    Size const at = offset - extent.offset;
    most = std::min(most, kPortion_bytes);
    std::span<std::byte const> const part =
        extent.memory != nullptr ? std::span{extent.memory + at, static_cast<std::size_t>(most)}
                                 : source_.take(extent.piece, at, most);
    write_hashed(file_, offset, part, options_.limit, hasher);
    if (extent.memory == nullptr) source_.give_back(extent.piece, at, std::ssize(part));
    return std::ssize(part);
  }

  File& file_;
  Size bytes_;
  std::span<Extent const> extents_;
  PieceBytes& source_;
  WriteOptions const& options_;
  std::vector<std::string> hashes_;  // each written by one thread
  std::atomic<std::size_t> next_{0};
  std::atomic<bool> failed_{false};
  std::mutex mutex_;
  std::exception_ptr error_;
};

}  // namespace

std::vector<std::string> write_blocks(File& file, Size bytes, std::span<Extent const> extents,
                                      PieceBytes& source, WriteOptions const& options) {
  return BlockWriter{file, bytes, extents, source, options}.write();
}

}  // namespace dsr::detail
