// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Writes a file by blocks of 4 MiB, each hashed while its bytes are in the cache, on one thread or
/// several.
#include <span>
#include <string>
#include <vector>

#include "dsr/checkpoint/piece_bytes.hpp"
#include "dsr/checkpoint/rank_file.hpp"
#include "dsr/io/file_system.hpp"

namespace dsr::detail {

/// Bytes of a file that come from one place: from memory, or, if that is null, from a piece.
struct Extent {
  Size offset = 0, bytes = 0;
  std::byte const* memory = nullptr;
  std::size_t piece = 0;
};

/// Writes extents (ascending, apart, within the file), and returns the hashes of all blocks of the
/// file; what no extent covers reads as zero. With several threads the order of the calls is open,
/// file and hashes are the same. After any error the source is abandoned. Throws IoError, and what
/// the source throws.
std::vector<std::string> write_blocks(File& file, Size bytes, std::span<Extent const> extents,
                                      PieceBytes& source, WriteOptions const& options);

}  // namespace dsr::detail
