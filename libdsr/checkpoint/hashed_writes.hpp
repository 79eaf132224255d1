// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Writing and hashing of the same bytes, in portions that stay in a core's cache in between.
#include <algorithm>
#include <cstddef>
#include <span>

#include "dsr/checkpoint/hash.hpp"
#include "dsr/checkpoint/rate_limit.hpp"
#include "dsr/io/file_system.hpp"

namespace dsr::detail {

/// Moved between a file and memory, and hashed, in one go.
inline constexpr Size kPortion_bytes = Size{512} << 10;

/// Writes first, since the system's copy fetches from memory faster than a hash does. The limit,
/// which may be null, is asked before each portion. Throws IoError.
inline void write_hashed(File& file, Size offset, std::span<std::byte const> bytes,
                         RateLimit* limit, BlockHasher& hasher) {
  while (!bytes.empty()) {
    Size const count = std::min(std::ssize(bytes), kPortion_bytes);
    auto const portion = bytes.first(static_cast<std::size_t>(count));
    if (limit != nullptr) limit->take(count);
    file.write_at(offset, portion);
    hasher.add(portion);
    offset += count;
    bytes = bytes.subspan(portion.size());
  }
}

}  // namespace dsr::detail
