// SPDX-License-Identifier: Apache-2.0
#include "dsr/checkpoint/hash.hpp"

#include <algorithm>
#include <array>

#if defined(__GNUC__) && !defined(__clang__)
// GCC 12 calls registers of AVX-512 uninitialized that its own headers leave so on purpose.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "dsr/core/error.hpp"

namespace dsr {
namespace {

std::string digits_of(XXH128_hash_t hash) {
  XXH128_canonical_t bytes;
  XXH128_canonicalFromHash(&bytes, hash);
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(2 * sizeof bytes.digest);
  for (unsigned char const byte : bytes.digest) {
    text += kDigits[byte >> 4U];
    text += kDigits[byte & 15U];
  }
  return text;
}

}  // namespace

std::string hash_text(std::span<std::byte const> bytes) {
  return digits_of(XXH3_128bits(bytes.data(), bytes.size()));
}

std::string file_hash(std::vector<std::string> const& blocks) {
  std::string all;
  for (std::string const& block : blocks) all += block;
  return hash_text(std::as_bytes(std::span{all}));
}

struct BlockHasher::State {
  State() { XXH3_128bits_reset(&block); }
  /// Ends the current block, which has at least one byte.
  void end_block() {
    hashes.push_back(digits_of(XXH3_128bits_digest(&block)));
    XXH3_128bits_reset(&block);
    in_block = 0;
  }

  XXH3_state_t block;
  Size in_block = 0;  ///< bytes of the current block
  std::vector<std::string> hashes;
};

BlockHasher::BlockHasher() : state_{std::make_unique<State>()} {}
BlockHasher::~BlockHasher() = default;
BlockHasher::BlockHasher(BlockHasher&&) noexcept = default;
BlockHasher& BlockHasher::operator=(BlockHasher&&) noexcept = default;

void BlockHasher::add(std::span<std::byte const> bytes) {
  while (!bytes.empty()) {
    auto const part =
        std::min(bytes.size(), static_cast<std::size_t>(kHashBlock_bytes - state_->in_block));
    XXH3_128bits_update(&state_->block, bytes.data(), part);
    state_->in_block += static_cast<Size>(part);
    if (state_->in_block == kHashBlock_bytes) state_->end_block();
    bytes = bytes.subspan(part);
  }
}

void BlockHasher::add_zeros(Size bytes) {
  static constexpr std::array<std::byte, 4096> kZeros{};
  while (bytes > 0) {
    Size const part = std::min(bytes, static_cast<Size>(kZeros.size()));
    add(std::span{kZeros}.first(static_cast<std::size_t>(part)));
    bytes -= part;
  }
}

std::vector<std::string> BlockHasher::finish() {
  if (state_->in_block > 0) state_->end_block();
  std::vector<std::string> hashes;
  hashes.swap(state_->hashes);
  return hashes;
}

}  // namespace dsr
