// SPDX-License-Identifier: Apache-2.0
#include "dsr/io/mapped_file.hpp"

#include <fcntl.h>
#include <sys/mman.h>

#include <cerrno>
#include <utility>

#include "libdsr/io/system.hpp"

namespace dsr {

MappedFile::MappedFile(std::string path) : path_(std::move(path)) {
  detail::OpenFile const file{path_, O_RDONLY};
  auto const size = static_cast<std::size_t>(detail::regular_size(file, path_));
  if (size == 0) return;  // mmap refuses a length of zero
  void* const memory = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, file.descriptor(), 0);
  if (memory == MAP_FAILED) detail::fail_io(path_, "map", errno);
  bytes_ = {static_cast<std::byte const*>(memory), size};
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)), bytes_(std::exchange(other.bytes_, {})) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

}  // namespace dsr
