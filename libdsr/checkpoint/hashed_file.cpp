// SPDX-License-Identifier: Apache-2.0
#include "dsr/checkpoint/hashed_file.hpp"

#include <algorithm>
#include <utility>

#include "dsr/core/error.hpp"

namespace dsr {
namespace {

/// Written and then hashed in one go: small enough to stay in a core's cache in between. In this
/// order, since the system's copy fetches from memory faster than a hash does.
constexpr std::size_t kWrite_bytes = std::size_t{512} << 10;

}  // namespace

HashedFile::HashedFile(FileSystem& files, std::string const& directory, std::string name,
                       Size bytes, RateLimit* limit)
    : file_{files.create(directory + "/" + name)},
      name_{std::move(name)},
      bytes_{bytes},
      limit_{limit} {
  file_->allocate(bytes);
}

void HashedFile::write(Size offset, std::span<std::byte const> bytes) {
  auto const count = static_cast<Size>(bytes.size());
  if (offset < written_ || offset > bytes_ || count > bytes_ - offset) {
    throw InvalidArgument(problem(
        name_, std::to_string(count) + " bytes at " + std::to_string(offset),
        std::to_string(written_) + " to " + std::to_string(bytes_) + ", in ascending order"));
  }
  hasher_.add_zeros(offset - written_);
  written_ = offset + count;
  for (; !bytes.empty(); bytes = bytes.subspan(std::min(bytes.size(), kWrite_bytes))) {
    auto const part = bytes.first(std::min(bytes.size(), kWrite_bytes));
    if (limit_ != nullptr) limit_->take(std::ssize(part));
    file_->write_at(written_ - std::ssize(bytes), part);
    hasher_.add(part);
  }
}

StoredFile HashedFile::finish() {
  hasher_.add_zeros(bytes_ - std::exchange(written_, bytes_));
  file_->sync_data();
  file_->close();
  StoredFile stored{.name = name_, .bytes = bytes_, .hash = {}, .blocks = hasher_.finish()};
  stored.hash = file_hash(stored.blocks);
  return stored;
}

}  // namespace dsr
