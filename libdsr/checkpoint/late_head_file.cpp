// SPDX-License-Identifier: Apache-2.0
#include "libdsr/checkpoint/late_head_file.hpp"

#include <algorithm>
#include <utility>

#include "dsr/core/error.hpp"
#include "libdsr/checkpoint/hashed_writes.hpp"

namespace dsr::detail {

LateHeadFile::LateHeadFile(FileSystem& files, std::string const& directory, std::string name,
                           RateLimit* limit)
    : file_{files.create(directory + "/" + name)}, name_{std::move(name)}, limit_{limit} {}

void LateHeadFile::write(Size offset, std::span<std::byte const> bytes) {
  if (offset < kHashBlock_bytes) {
    auto const first = bytes.first(
        static_cast<std::size_t>(std::min(std::ssize(bytes), kHashBlock_bytes - offset)));
    Size const end = offset + std::ssize(first);
    if (std::ssize(head_) < end) head_.resize(static_cast<std::size_t>(end));
    std::ranges::copy(first, head_.begin() + offset);
    bytes = bytes.subspan(first.size());
    offset = end;
  }
  if (bytes.empty()) return;
  if (offset < written_) {
    throw InvalidArgument(problem(name_, "bytes at " + std::to_string(offset),
                                  std::to_string(written_) + " or later, in ascending order"));
  }
  hasher_.add_zeros(offset - written_);
  written_ = offset + std::ssize(bytes);
  write_hashed(*file_, offset, bytes, limit_, hasher_);
}

StoredFile LateHeadFile::finish(Size bytes) {
  file_->allocate(bytes);
  head_.resize(static_cast<std::size_t>(std::min(bytes, kHashBlock_bytes)));
  BlockHasher first;
  write_hashed(*file_, 0, head_, limit_, first);
  StoredFile stored{.name = name_, .bytes = bytes, .hash = {}, .blocks = first.finish()};
  hasher_.add_zeros(std::max(bytes, kHashBlock_bytes) - written_);
  for (std::string& block : hasher_.finish()) stored.blocks.push_back(std::move(block));
  stored.hash = file_hash(stored.blocks);
  file_->sync_data();
  file_->close();
  return stored;
}

}  // namespace dsr::detail
