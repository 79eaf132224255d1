// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Small steps that tests of file systems share.
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "dsr/core/error.hpp"
#include "dsr/io/file_system.hpp"

namespace dsr::test {

inline std::span<std::byte const> bytes_of(std::string_view text) {
  return std::as_bytes(std::span{text});
}

enum class Synced : unsigned char { no, yes };

/// Creates a file with this content and closes it.
inline void put(FileSystem& files, std::string const& path, std::string_view content,
                Synced synced = Synced::no) {
  auto const file = files.create(path);
  file->write_at(0, bytes_of(content));
  if (synced == Synced::yes) file->sync_data();
  file->close();
}

inline std::string get(FileSystem& files, std::string const& path) {
  return read_text(files, path, Size{1} << 30U);
}

/// The system's number of the IoError that a call throws; 0 if it throws none.
template <class Work>
int error_of(Work work) {
  try {
    work();
  } catch (IoError const& error) {
    return error.error_number();
  }
  return 0;
}

}  // namespace dsr::test
