// SPDX-License-Identifier: Apache-2.0
#include "libdsr/io/system_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "libdsr/io/system.hpp"
#include "libdsr/io/whole_transfers.hpp"

namespace dsr::detail {

SystemFile::SystemFile(std::string path, int flags) : path_(std::move(path)) {
  // O_NONBLOCK changes nothing for a regular file; opening a pipe would wait without it.
  OpenFile file{path_, flags | O_NOFOLLOW | O_NONBLOCK};
  regular_size(file, path_);
  descriptor_ = file.release();
}

SystemFile::~SystemFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void SystemFile::write_at(Size offset, std::span<std::byte const> bytes) {
  write_whole(path_, offset, bytes, [this](Size at, std::span<std::byte const> rest) {
    return ::pwrite(descriptor_, rest.data(), rest.size(), at);
  });
}

Size SystemFile::read_at(Size offset, std::span<std::byte> bytes) {
  return read_whole(path_, offset, bytes, [this](Size at, std::span<std::byte> rest) {
    return ::pread(descriptor_, rest.data(), rest.size(), at);
  });
}

void SystemFile::allocate(Size bytes) {
  if (bytes == 0) return;  // fallocate refuses it
  int result = uninterrupted([&] { return ::fallocate(descriptor_, 0, 0, bytes); });
  if (result != 0 && (errno == EOPNOTSUPP || errno == ENOSYS)) {
    if (size() >= bytes) return;
    result = uninterrupted([&] { return ::ftruncate(descriptor_, bytes); });
  }
  if (result != 0) fail_io(path_, "allocate", errno);
}

Size SystemFile::size() {
  struct stat status {};
  if (::fstat(descriptor_, &status) != 0) fail_io(path_, "read the size", errno);
  return status.st_size;
}

void SystemFile::sync_data() {
  if (::fdatasync(descriptor_) != 0) fail_io(path_, "sync", errno);
}

void SystemFile::close() {
  // Linux gives the descriptor up even if it reports an error, so it is never closed twice.
  if (::close(std::exchange(descriptor_, -1)) != 0) fail_io(path_, "close", errno);
}

}  // namespace dsr::detail
