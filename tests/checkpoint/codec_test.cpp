// SPDX-License-Identifier: Apache-2.0
#include "dsr/checkpoint/codec.hpp"

#include <cstring>
#include <random>
#include <string>

#include "dsr/core/error.hpp"
#include "support/catch.hpp"
#include "support/text_of.hpp"

using namespace dsr;
using dsr::test::contains;
using dsr::test::text_of;

namespace {

using Bytes = std::vector<std::byte>;

Bytes random_bytes(std::mt19937& random, std::size_t count, int most) {
  Bytes bytes(count);
  for (std::byte& byte : bytes)
    byte = static_cast<std::byte>(std::uniform_int_distribution<int>{0, most}(random));
  return bytes;
}

Bytes bytes_of(std::string_view text) {
  auto const view = std::as_bytes(std::span{text});
  return {view.begin(), view.end()};
}

Bytes encoded(std::span<std::byte const> bytes, Size element, int level = 1) {
  Encoder encoder{level};
  auto const found = encoder.encode(bytes, element);
  return {found.begin(), found.end()};
}

/// Decoding either gives something or refuses; anything else is an error of the test.
bool decodes(Bytes const& stored, Size element, Size bytes) {
  Decoder decoder;
  Bytes out(static_cast<std::size_t>(bytes));
  try {
    decoder.decode(stored, element, out);
    return true;
  } catch (CorruptData const&) {
    return false;
  }
}

}  // namespace

TEST_CASE("shuffling sorts bytes by their place in an element") {
  Bytes const in = bytes_of("aAbBcC+");
  Bytes out(in.size());
  shuffle(in, 2, out);
  CHECK(out == bytes_of("abcABC+"));
  Bytes four(8);
  shuffle(bytes_of("a1Axb2By"), 4, four);
  CHECK(four == bytes_of("ab12ABxy"));
}

TEST_CASE("all sizes of elements and all lengths come back") {
  std::mt19937 random{5};
  for (Size const element : {1, 2, 4, 8}) {
    for (std::size_t count = 0; count < 70; ++count) {
      Bytes const in = random_bytes(random, count, 255);
      Bytes sorted(count), back(count);
      shuffle(in, element, sorted);
      unshuffle(sorted, element, back);
      CHECK(back == in);
      for (std::size_t i = 0; i < count / static_cast<std::size_t>(element); ++i) {
        for (std::size_t j = 0; j < static_cast<std::size_t>(element); ++j)
          REQUIRE(sorted[j * (count / static_cast<std::size_t>(element)) + i] ==
                  in[i * static_cast<std::size_t>(element) + j]);
      }
    }
  }
  Bytes const in(6);
  Bytes out(6), shorter(5);
  CHECK_THROWS_AS(shuffle(in, 3, out), InvalidArgument);
  CHECK_THROWS_AS(shuffle(in, 2, shorter), InvalidArgument);
  CHECK_THROWS_AS(unshuffle(in, 0, out), InvalidArgument);
}

TEST_CASE("what was encoded is decoded, at every level, and no longer than the bound") {
  std::mt19937 random{6};
  Decoder decoder;
  for (int const level : {1, 3, 9, kMostCompression}) {
    for (std::size_t const count : {std::size_t{2}, std::size_t{4094}, std::size_t{100'000}}) {
      for (int const most : {0, 3, 255}) {
        Bytes const in = random_bytes(random, count, most);
        Bytes const stored = encoded(in, 2, level);
        CHECK(std::ssize(stored) <= encoded_bound(std::ssize(in)));
        Bytes out(count, std::byte{7});
        decoder.decode(stored, 2, out);
        CHECK(out == in);
        CHECK(encoded(in, 2, level) == stored);
      }
    }
  }
  CHECK_THROWS_AS(Encoder{0}, InvalidArgument);
  CHECK_THROWS_AS(Encoder{kMostCompression + 1}, InvalidArgument);
}

TEST_CASE("weights that resemble each other become smaller") {
  std::mt19937 random{7};
  std::normal_distribution<float> normal{0, 0.02F};
  std::vector<float> weights(100'000);
  for (float& weight : weights) weight = normal(random);
  auto const bytes = std::as_bytes(std::span{weights});
  CHECK(static_cast<double>(encoded(bytes, 4).size()) < 0.92 * static_cast<double>(bytes.size()));
}

TEST_CASE("a frame of another size, with something behind it, or none at all is refused") {
  Bytes const in(1000, std::byte{3});
  Bytes const stored = encoded(in, 4);
  REQUIRE(decodes(stored, 4, 1000));
  CHECK_FALSE(decodes(stored, 4, 999));
  CHECK_FALSE(decodes(stored, 4, 1001));
  CHECK_FALSE(decodes({}, 4, 1000));
  Bytes longer = stored;
  longer.push_back(std::byte{0});
  CHECK_FALSE(decodes(longer, 4, 1000));
  Bytes twice = stored;
  twice.insert(twice.end(), stored.begin(), stored.end());
  CHECK_FALSE(decodes(twice, 4, 2000));
  for (std::size_t size = 0; size < stored.size(); ++size)
    CHECK_FALSE(decodes(Bytes(stored.begin(), stored.begin() + static_cast<Size>(size)), 4, 1000));
  // A frame that is to be skipped.
  CHECK_FALSE(decodes(bytes_of(std::string("\x50\x2a\x4d\x18\x01\x00\x00\x00x", 9)), 4, 1000));
  Decoder decoder;
  Bytes out(999);
  CHECK(contains(text_of<Error>([&] { decoder.decode(stored, 4, out); }), "1000 bytes"));
}

TEST_CASE("flipped bits decode to something or are refused, and never more than wanted") {
  std::mt19937 random{8};
  Bytes const in = random_bytes(random, 3000, 20);
  Bytes const stored = encoded(in, 2);
  int refused = 0;
  for (std::size_t bit = 0; bit < stored.size() * 8; ++bit) {
    Bytes changed = stored;
    changed[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    refused += decodes(changed, 2, std::ssize(in)) ? 0 : 1;
  }
  CHECK(refused > 0);
}
