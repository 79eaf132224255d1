// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Loops that turn calls in the manner of pread(2) and pwrite(2), which may move a part or be
/// interrupted, into ones that move all.
#include <cerrno>
#include <cstddef>
#include <span>
#include <string_view>

#include "dsr/core/shape.hpp"
#include "libdsr/io/system.hpp"

namespace dsr::detail {

/// Repeats a call that returns a negative number and leaves EINTR in errno.
template <class Call>
auto uninterrupted(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

/// `write(offset, bytes)` returns how many it took, or -1 with errno. Throws IoError.
template <class Write>
void write_whole(std::string_view path, Size offset, std::span<std::byte const> bytes,
                 Write write) {
  while (!bytes.empty()) {
    auto const count = uninterrupted([&] { return write(offset, bytes); });
    if (count < 0) fail_io(path, "write", errno);
    if (count == 0) fail_io(path, "write", EIO);  // no progress and no reason: do not spin
    bytes = bytes.subspan(static_cast<std::size_t>(count));
    offset += count;
  }
}

/// `read(offset, bytes)` returns how many it gave, 0 at the end, or -1 with errno. Returns how many
/// there were. Throws IoError.
template <class Read>
Size read_whole(std::string_view path, Size offset, std::span<std::byte> bytes, Read read) {
  Size total = 0;
  while (!bytes.empty()) {
    auto const count = uninterrupted([&] { return read(offset + total, bytes); });
    if (count < 0) fail_io(path, "read", errno);
    if (count == 0) break;
    bytes = bytes.subspan(static_cast<std::size_t>(count));
    total += count;
  }
  return total;
}

}  // namespace dsr::detail
