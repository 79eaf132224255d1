// SPDX-License-Identifier: Apache-2.0
#pragma once
/// HashedFile: a new file of known size, written from front to back and hashed meanwhile.
///
///     HashedFile file{files, directory, "rank_00000.h5", container.bytes()};
///     file.write(piece.offset, piece.bytes);                  // offsets ascend
///     StoredFile const stored = file.finish();                // synced, closed, hashed
///
/// The caller syncs the directory.
#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "dsr/checkpoint/hash.hpp"
#include "dsr/checkpoint/manifest.hpp"
#include "dsr/checkpoint/rate_limit.hpp"
#include "dsr/io/file_system.hpp"

namespace dsr {

/// Moves, does not copy: it owns an open file. One thread uses it; `files` must outlive it. Without
/// finish() the file stays behind, incomplete.
class HashedFile {
 public:
  /// Creates <directory>/<name>, which must not exist, and allocates. A limit is asked before each
  /// write. Throws IoError.
  HashedFile(FileSystem& files, std::string const& directory, std::string name, Size bytes,
             RateLimit* limit = nullptr);

  /// What lies between the last byte written and `offset` is zero. Throws InvalidArgument if offset
  /// is before that byte or the end beyond the file's size; IoError.
  void write(Size offset, std::span<std::byte const> bytes);
  /// Syncs and closes. Throws IoError: then the file must not be used, and no call is repeated.
  StoredFile finish();

 private:
  std::unique_ptr<File> file_;
  BlockHasher hasher_;
  std::string name_;
  Size bytes_, written_ = 0;
  RateLimit* limit_;
};

}  // namespace dsr
