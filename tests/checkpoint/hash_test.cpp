// SPDX-License-Identifier: Apache-2.0
#include "dsr/checkpoint/hash.hpp"

#include <algorithm>
#include <string_view>

#include "support/catch.hpp"

using namespace dsr;

namespace {

std::span<std::byte const> bytes_of(std::string_view text) {
  return std::as_bytes(std::span{text.data(), text.size()});
}

std::vector<std::byte> numbered(std::size_t count) {
  std::vector<std::byte> bytes(count);
  for (std::size_t i = 0; i < count; ++i)
    bytes[i] = static_cast<std::byte>((i * 131 + i / 251) & 255U);
  return bytes;
}

/// Hashes bytes fed in pieces of one size.
std::vector<std::string> in_pieces(std::span<std::byte const> bytes, std::size_t piece) {
  BlockHasher hasher;
  for (std::size_t at = 0; at < bytes.size(); at += piece) {
    hasher.add(bytes.subspan(at, std::min(piece, bytes.size() - at)));
  }
  return hasher.finish();
}

}  // namespace

TEST_CASE("hash_text is XXH3-128 in canonical form") {
  // From `xxhsum -H2` 0.8.1.
  CHECK(hash_text({}) == "99aa06d3014798d86001c324468d497f");
  CHECK(hash_text(bytes_of("abc")) == "06b05ab6733a618578af5f94892f3950");
}

TEST_CASE("BlockHasher gives the same blocks for any pieces") {
  auto const block = static_cast<std::size_t>(kHashBlock_bytes);
  std::vector<std::byte> const bytes = numbered(2 * block + 12'345);
  std::span const all{bytes};
  std::vector<std::string> const wanted{hash_text(all.first(block)),
                                        hash_text(all.subspan(block, block)),
                                        hash_text(all.subspan(2 * block))};
  CHECK(in_pieces(all, bytes.size()) == wanted);
  CHECK(in_pieces(all, 4097) == wanted);
  CHECK(in_pieces(all, block - 1) == wanted);
  CHECK(in_pieces(all, block) == wanted);
  CHECK(in_pieces(all.first(block), 1000).size() == 1);
  CHECK(in_pieces({}, 1).empty());
}

TEST_CASE("BlockHasher counts zeros as bytes and starts anew") {
  std::vector<std::byte> bytes = numbered(10'000);
  std::fill(bytes.begin() + 500, bytes.begin() + 9'500, std::byte{0});
  std::span const all{bytes};
  BlockHasher hasher;
  for (int again = 0; again < 2; ++again) {
    hasher.add(all.first(500));
    hasher.add_zeros(9'000);
    hasher.add(all.subspan(9'500));
    CHECK(hasher.finish() == std::vector{hash_text(all)});
  }
  CHECK(hasher.finish().empty());
}

TEST_CASE("file_hash depends on every block and their order") {
  std::string const a = hash_text(bytes_of("a")), b = hash_text(bytes_of("b"));
  CHECK(file_hash({a, b}) == hash_text(bytes_of(a + b)));
  CHECK(file_hash({a, b}) != file_hash({b, a}));
  CHECK(file_hash({}) == hash_text({}));
}
