// SPDX-License-Identifier: Apache-2.0
#pragma once
/// LateHeadFile: a new file, written from front to back and hashed meanwhile, whose size is not
/// known before the end and whose first 4 MiB may be written in any order: they are held until
/// then.
///
///     LateHeadFile file{files, directory, "rank_00000.h5"};
///     file.write(4096, chunk);  …  file.write(at, tail);  file.write(0, head);
///     StoredFile const stored = file.finish(bytes);           // synced, closed, hashed
///
/// The caller syncs the directory.
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "dsr/checkpoint/hash.hpp"
#include "dsr/checkpoint/manifest.hpp"
#include "dsr/checkpoint/rate_limit.hpp"
#include "dsr/io/file_system.hpp"

namespace dsr::detail {

/// Neither copies nor moves. One thread at a time.
class LateHeadFile {
 public:
  /// Throws IoError.
  LateHeadFile(FileSystem& files, std::string const& directory, std::string name, RateLimit* limit);
  LateHeadFile(LateHeadFile const&) = delete;
  LateHeadFile& operator=(LateHeadFile const&) = delete;

  /// Behind the first 4 MiB offsets ascend. Throws IoError.
  void write(Size offset, std::span<std::byte const> bytes);
  /// What was not written reads as zero. Throws IoError: then the file must not be used.
  StoredFile finish(Size bytes);

 private:
  std::unique_ptr<File> file_;
  std::string name_;
  RateLimit* limit_;
  std::vector<std::byte> head_;
  BlockHasher hasher_;  // of all blocks but the first
  Size written_ = kHashBlock_bytes;
};

}  // namespace dsr::detail
