// SPDX-License-Identifier: Apache-2.0
#pragma once
/// MappedFile: a file's bytes, read on first touch and shared by all processes of a node.
///
///     MappedFile file{"train.bin"};
///     std::span<std::byte const> bytes = file.bytes();
///
/// The file must not shrink while it is mapped: touching a page that is gone raises SIGBUS.
#include <cstddef>
#include <span>
#include <string>

namespace dsr {

/// Moves, does not copy: it owns the mapping. Any number of threads may read.
class MappedFile {
 public:
  /// An empty file gives no bytes. Throws IoError with the path and the system's reason, also for a
  /// directory.
  explicit MappedFile(std::string path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(MappedFile const&) = delete;
  MappedFile& operator=(MappedFile const&) = delete;

  std::span<std::byte const> bytes() const { return bytes_; }
  std::string const& path() const { return path_; }

 private:
  std::string path_;
  std::span<std::byte const> bytes_;
};

}  // namespace dsr
