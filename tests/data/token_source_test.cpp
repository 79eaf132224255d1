// SPDX-License-Identifier: Apache-2.0
#include "dsr/data/token_source.hpp"

#include "dsr/core/error.hpp"
#include "io/temporary_directory.hpp"
#include "support/catch.hpp"

using namespace dsr;
using namespace dsr::test;

namespace {

using List = std::vector<std::int32_t>;

List read(Tokens const& tokens, Size begin, Size count) {
  List out(static_cast<std::size_t>(count));
  tokens->read(begin, out);
  return out;
}

List all_of(Tokens const& tokens) { return read(tokens, 0, tokens->size()); }

/// nanoGPT's bytes, written out by hand.
std::string uint16_bytes(List const& tokens) {
  std::string bytes;
  for (std::int32_t const token : tokens) {
    bytes += static_cast<char>(token & 0xFF);
    bytes += static_cast<char>(token >> 8);
  }
  return bytes;
}

}  // namespace

TEST_CASE("a text file is its bytes") {
  TemporaryDirectory const directory;
  Tokens const tokens =
      open_tokens(directory.write("a.txt", "Az\n\xFF\xC3"));  // not UTF-8, taken as it is
  CHECK(tokens->size() == 5);
  CHECK(tokens->vocabulary() == 256);
  CHECK(tokens->name() == directory / "a.txt");
  CHECK(all_of(tokens) == List{65, 122, 10, 255, 195});
  CHECK(read(tokens, 3, 2) == List{255, 195});
  CHECK(read(tokens, 5, 0).empty());
}

TEST_CASE("a nanoGPT file is little-endian uint16") {
  TemporaryDirectory const directory;
  std::string const path =
      directory.write("a.bin", std::string{"\x00\x00\x34\x12\xff\xff\x50\xc4", 8});
  Tokens const tokens = open_tokens(path);
  CHECK(tokens->size() == 4);
  CHECK(tokens->vocabulary() == 65'536);
  CHECK(all_of(tokens) == List{0, 0x1234, 65'535, 50'256});
  CHECK(read(tokens, 2, 1) == List{65'535});
}

TEST_CASE("the format follows the name unless it is given") {
  TemporaryDirectory const directory;
  std::string const bin = directory.write("x.bin", "AB"), txt = directory.write("x.txt", "AB");
  CHECK(open_tokens(bin)->size() == 1);
  CHECK(open_tokens(bin, TokenFormat::text)->size() == 2);
  CHECK(open_tokens(txt)->size() == 2);
  CHECK(open_tokens(txt, TokenFormat::nanogpt)->size() == 1);
  CHECK(parse_token_format("auto") == TokenFormat::automatic);
  CHECK(parse_token_format("text") == TokenFormat::text);
  CHECK(parse_token_format("nanogpt") == TokenFormat::nanogpt);
  CHECK(contains(message_of<InvalidArgument>([] { parse_token_format("nanogtp"); }),
                 "nearest nanogpt"));
}

TEST_CASE("files that cannot be used name themselves and their size") {
  TemporaryDirectory const directory;
  CHECK(contains(message_of<IoError>([&] { open_tokens(directory / "no.bin"); }), "no.bin"));
  CHECK(contains(message_of<IoError>([&] { open_tokens(directory.path()); }), directory.path()));
  for (char const* name : {"empty.txt", "empty.bin"}) {
    std::string const path = directory.write(name, "");
    CHECK(contains(message_of<CorruptData>([&] { open_tokens(path); }), path + ": 0 bytes"));
  }
  std::string const odd = directory.write("odd.bin", "abc");
  try {
    open_tokens(odd);
    FAIL("no error");
  } catch (CorruptData const& error) {
    CHECK(contains(error.what(), odd + ": 3 bytes, allowed a multiple of 2"));
    CHECK(error.exit_code() == 65);
  }
}

TEST_CASE("reads outside a source are refused") {
  Tokens const tokens = memory_tokens({1, 2, 3}, 4);
  List out(2);
  CHECK_THROWS_AS(tokens->read(2, out), InvalidArgument);
  CHECK_THROWS_AS(tokens->read(-1, out), InvalidArgument);
  CHECK_THROWS_AS(tokens->read(4, {}), InvalidArgument);
  tokens->read(1, out);
  CHECK(out == List{2, 3});
}

TEST_CASE("memory_tokens are checked against their vocabulary") {
  CHECK_THROWS_AS(memory_tokens({0, 4}, 4), InvalidArgument);
  CHECK_THROWS_AS(memory_tokens({-1}, 4), InvalidArgument);
}

TEST_CASE("slices and splits cover the whole") {
  Tokens const whole = memory_tokens({0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, 10, "ten");
  Tokens const middle = slice(whole, 2, 8);
  CHECK(all_of(middle) == List{2, 3, 4, 5, 6, 7});
  CHECK(all_of(slice(middle, 1, 3)) == List{3, 4});
  CHECK(middle->vocabulary() == 10);
  CHECK(middle->name() == "ten[2, 8)");
  CHECK(slice(whole, 4, 4)->size() == 0);
  List out(1);
  CHECK_THROWS_AS(middle->read(6, out), InvalidArgument);  // inside the whole, outside the slice
  CHECK_THROWS_AS(slice(whole, -1, 3), InvalidArgument);
  CHECK_THROWS_AS(slice(whole, 3, 2), InvalidArgument);
  CHECK_THROWS_AS(slice(whole, 0, 11), InvalidArgument);

  Split const split = split_tokens(whole, 0.3);
  CHECK(all_of(split.train) == List{0, 1, 2, 3, 4, 5, 6});
  CHECK(all_of(split.validation) == List{7, 8, 9});
  CHECK(split_tokens(whole, 0).validation->size() == 0);
  CHECK_THROWS_AS(split_tokens(whole, 1), InvalidArgument);
  CHECK_THROWS_AS(split_tokens(whole, -0.1), InvalidArgument);
}

TEST_CASE("a token outside the vocabulary is found wherever it is") {
  TemporaryDirectory const directory;
  constexpr std::size_t kCount = 100'000;  // more than one chunk of the search
  for (std::size_t const bad : {std::size_t{0}, std::size_t{32'768}, kCount - 1}) {
    List tokens(kCount, 49);
    tokens[bad] = 50;
    Tokens const source = open_tokens(directory.write("v.bin", uint16_bytes(tokens)));
    require_tokens_below(*source, 51);
    CHECK(message_of<CorruptData>([&] { require_tokens_below(*source, 50); }) ==
          "dsr: " + directory / "v.bin: token " + std::to_string(bad) + ": 50, allowed 0 to 49");
  }
  Tokens const text = open_tokens(directory.write("v.txt", "ABC"));
  require_tokens_below(*text, 256);
  require_tokens_below(*text, 68);
  CHECK(contains(message_of<CorruptData>([&] { require_tokens_below(*text, 66); }),
                 "token 1: 66, allowed 0 to 65"));
}

TEST_CASE("a source must fill one sequence and its last target") {
  Tokens const tokens = memory_tokens({1, 2, 3, 4}, 5, "four");
  require_sequence(*tokens, 3);
  CHECK(message_of<CorruptData>([&] { require_sequence(*tokens, 4); }) ==
        "dsr: four: 4 tokens, allowed >= 5 (sequence + 1)");
}
