// SPDX-License-Identifier: Apache-2.0
#pragma once
/// The hashes of a checkpoint: XXH3 with 128 bits over blocks of 4 MiB, as text. They find what a
/// disk or a cable did, not what a person forged.
///
///     BlockHasher hasher;
///     hasher.add(first);  hasher.add(second);                // pieces of any size, in file order
///     std::vector<std::string> blocks = hasher.finish();
///     std::string hash = file_hash(blocks);
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "dsr/core/shape.hpp"

namespace dsr {

inline constexpr Size kHashBlock_bytes = Size{4} << 20;

/// XXH3-128 without a seed, in its canonical form (high word first): 32 lower-case hex digits.
std::string hash_text(std::span<std::byte const> bytes);

/// The hash of the block hashes: hash_text of their digits, one after the other.
std::string file_hash(std::vector<std::string> const& blocks);

/// Hashes a file's blocks as its bytes pass by. Moves, does not copy: half a block has no meaning
/// twice. One thread uses it.
class BlockHasher {
 public:
  BlockHasher();
  ~BlockHasher();
  BlockHasher(BlockHasher&&) noexcept;
  BlockHasher& operator=(BlockHasher&&) noexcept;
  BlockHasher(BlockHasher const&) = delete;
  BlockHasher& operator=(BlockHasher const&) = delete;

  void add(std::span<std::byte const> bytes);
  /// As many zero bytes: what a hole of a file reads as.
  void add_zeros(Size bytes);
  /// The hashes of all blocks; none for no bytes. The hasher is as new afterwards.
  std::vector<std::string> finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace dsr
