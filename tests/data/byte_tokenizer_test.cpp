// SPDX-License-Identifier: Apache-2.0
#include "dsr/data/byte_tokenizer.hpp"

#include "dsr/core/error.hpp"
#include "support/catch.hpp"

using namespace dsr;

TEST_CASE("every byte has a token of its value and comes back") {
  std::string all;
  for (int b = 0; b < 256; ++b) all += static_cast<char>(b);
  std::vector<std::int32_t> const tokens = encode_bytes(all);
  REQUIRE(tokens.size() == 256);
  for (std::int32_t b = 0; b < 256; ++b) CHECK(tokens[static_cast<std::size_t>(b)] == b);
  CHECK(decode_bytes(tokens) == all);
  CHECK(encode_bytes("ä") == std::vector<std::int32_t>{0xC3, 0xA4});
  CHECK(encode_bytes("").empty());
}

TEST_CASE("a token that is no byte is refused") {
  for (std::int32_t const bad : {-1, 256}) {
    CHECK_THROWS_AS(decode_bytes(std::vector<std::int32_t>{65, bad}), InvalidArgument);
  }
}
