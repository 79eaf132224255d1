// SPDX-License-Identifier: Apache-2.0
#include "libdsr/checkpoint/late_head_file.hpp"

#include <algorithm>
#include <utility>

#include "dsr/core/error.hpp"

namespace dsr::detail {
namespace {

/// Hashed and then written in one go: small enough to stay in a core's cache in between.
constexpr std::size_t kWrite_bytes = std::size_t{512} << 10;

}  // namespace

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
  for (; !bytes.empty(); bytes = bytes.subspan(std::min(bytes.size(), kWrite_bytes))) {
    auto const part = bytes.first(std::min(bytes.size(), kWrite_bytes));
    hasher_.add(part);
    put(written_ - std::ssize(bytes), part);
  }
}

StoredFile LateHeadFile::finish(Size bytes) {
  file_->allocate(bytes);
  head_.resize(static_cast<std::size_t>(std::min(bytes, kHashBlock_bytes)));
  put(0, head_);
  StoredFile stored{.name = name_, .bytes = bytes, .hash = {}, .blocks = {hash_text(head_)}};
  hasher_.add_zeros(std::max(bytes, kHashBlock_bytes) - written_);
  for (std::string& block : hasher_.finish()) stored.blocks.push_back(std::move(block));
  stored.hash = file_hash(stored.blocks);
  file_->sync_data();
  file_->close();
  return stored;
}

void LateHeadFile::put(Size offset, std::span<std::byte const> bytes) {
  if (limit_ != nullptr) limit_->take(std::ssize(bytes));
  file_->write_at(offset, bytes);
}

}  // namespace dsr::detail
