// SPDX-License-Identifier: Apache-2.0
#include "dsr/io/file_system.hpp"

#include <cerrno>

#include "dsr/core/error.hpp"
#include "libdsr/io/system.hpp"

namespace dsr {
namespace {

/// Of a directory that was there before: one that is not this user's, or that cannot be written or
/// synced at all, holds nothing that a process of this job left unsynced.
bool needs_no_sync(IoError const& error) {
  int const number = error.error_number();
  return number == EACCES || number == EROFS || number == EINVAL;
}

}  // namespace

std::string read_text(FileSystem& files, std::string const& path, Size most_bytes) {
  auto const file = files.open(path);
  Size const size = file->size();
  if (size > most_bytes)
    throw IoError(
        problem(path, std::to_string(size) + " bytes", "at most " + std::to_string(most_bytes)));
  std::string text(static_cast<std::size_t>(size), '\0');
  Size const count = file->read_at(0, std::as_writable_bytes(std::span{text}));
  text.resize(static_cast<std::size_t>(count));
  return text;
}

std::string parent_directory(std::string const& path) {
  std::size_t const last = path.find_last_not_of('/');
  if (last == std::string::npos) return path.empty() ? "." : "/";
  std::size_t const slash = path.find_last_of('/', last);
  if (slash == std::string::npos) return ".";
  std::size_t const end = path.find_last_not_of('/', slash);
  return end == std::string::npos ? "/" : path.substr(0, end + 1);
}

void make_directories(FileSystem& files, std::string const& path) {
  std::vector<std::string> missing;
  std::string there = path;
  while (!files.exists(there)) {
    std::string parent = parent_directory(there);
    if (parent == there) break;
    missing.push_back(there);
    there = std::move(parent);
  }
  if (there != parent_directory(there)) {
    try {
      files.sync_directory(parent_directory(there));
    } catch (IoError const& error) {
      if (!needs_no_sync(error)) throw;
    }
  }
  for (auto made = missing.rbegin(); made != missing.rend(); ++made) {
    files.make_directory(*made);
    files.sync_directory(parent_directory(*made));
  }
}

}  // namespace dsr
