// SPDX-License-Identifier: Apache-2.0
#include "dsr/checkpoint/hashed_file.hpp"

#include <utility>

#include "dsr/core/error.hpp"
#include "libdsr/checkpoint/hashed_writes.hpp"

namespace dsr {

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
  detail::write_hashed(*file_, offset, bytes, limit_, hasher_);
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
