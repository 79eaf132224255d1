// SPDX-License-Identifier: Apache-2.0
#include "dsr/checkpoint/safetensors.hpp"

#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>

#include "dsr/core/error.hpp"
#include "io/temporary_directory.hpp"
#include "support/catch.hpp"

using namespace dsr;
using namespace dsr::test;

namespace {

/// A file as the format's description has it, made without the code under test.
std::string file_of(std::string const& header, std::string const& data) {
  std::string file(8, '\0');
  for (std::size_t i = 0; i < 8; ++i) file[i] = static_cast<char>(header.size() >> (8 * i) & 255U);
  return file + header + data;
}

std::string entry(std::string const& type, std::string const& shape, int begin, int end) {
  return R"({"dtype":")" + type + R"(","shape":)" + shape + R"(,"data_offsets":[)" +
         std::to_string(begin) + "," + std::to_string(end) + "]}";
}

std::string refusal(std::string const& header, Size data_bytes) {
  Size const bytes = 8 + static_cast<Size>(header.size()) + data_bytes;
  return message_of<CorruptData>([&] { parse_safetensors_header(header, bytes, "x.safetensors"); });
}

std::string small_file() {
  return file_of(R"({"__metadata__":{"format":"pt"},"b":)" + entry("BF16", "[2]", 8, 12) +
                     R"(,"a":)" + entry("F32", "[2,1]", 0, 8) + "}  ",
                 std::string("\x00\x00\x80\x3f\x00\x00\x20\xc1\x40\x40\x80\xbf", 12));
}

}  // namespace

TEST_CASE("A file made by hand is read") {
  TemporaryDirectory const directory;
  directory.write("model.safetensors", small_file());
  SafetensorsModel const model{system_files(), directory.path()};
  REQUIRE(model.tensors().size() == 2);
  CHECK(model.tensors().at("a").entry.shape == Shape{2, 1});
  CHECK(model.read_f32("a") == std::vector<float>{1.0F, -10.0F});
  CHECK(model.read_f32("b") == std::vector<float>{3.0F, -1.0F});
  auto const header = read_safetensors_header(system_files(), directory / "model.safetensors");
  CHECK(header.metadata.at("format") == "pt");
  CHECK(header.tensors[0].name == "a");  // by place, not by order of the text
  CHECK(contains(message_of<InvalidArgument>([&] { model.read_f32("c"); }), "'c'"));
}

TEST_CASE("Half precision is exact, subnormals and infinities too") {
  TemporaryDirectory const directory;
  // 1, the smallest subnormal, the largest number, −infinity, −2
  std::string const data("\x00\x3c\x01\x00\xff\x7b\x00\xfc\x00\xc0", 10);
  directory.write("model.safetensors",
                  file_of(R"({"h":)" + entry("F16", "[5]", 0, 10) + "}", data));
  SafetensorsModel const model{system_files(), directory.path()};
  CHECK(model.read_f32("h") == std::vector<float>{1.0F, 0x1p-24F, 65504.0F,
                                                  -std::numeric_limits<float>::infinity(), -2.0F});
}

TEST_CASE("A header that is not one is refused, with the reason") {
  auto const one = [](std::string const& text) { return R"({"w":)" + text + "}"; };
  struct Case {
    std::string header;
    Size data;
    char const* reason;
  };
  std::vector<Case> const cases{
      {"", 0, "without '{'"},
      {" {}", 0, "without '{'"},
      {"[]", 0, "without '{'"},
      {"{", 0, "no JSON"},
      {"{}x", 0, "no JSON"},
      {"{\"\xff\":1}", 0, "no JSON"},
      {"{}", 1, "1 bytes after"},
      {one("1"), 0, "out of place"},
      {one("[]"), 0, "out of place"},
      {one("{}"), 0, "missing"},
      {one(R"({"dtype":"F32","shape":[1]})"), 4, "missing"},
      {one(R"({"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1})"), 4, "key 'x'"},
      {one(R"({"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]})"), 4, "twice"},
      {R"({"w":)" + entry("F32", "[1]", 0, 4) + R"(,"w":)" + entry("F32", "[1]", 4, 8) + "}", 8,
       "'w' twice"},
      {R"({"":)" + entry("F32", "[1]", 0, 4) + "}", 4, "empty"},
      {"{\"a\\u0007\":" + entry("F32", "[1]", 0, 4) + "}", 4, "control"},
      {R"({"__metadata__":{"a":"b","a":"c"}})", 0, "twice"},
      {R"({"__metadata__":{"a":1}})", 0, "out of place"},
      {R"({"__metadata__":{"a":{}}})", 0, "out of place"},
      {one(entry("F31", "[1]", 0, 4)), 4, "'F31'"},
      {one(entry("F32", "[-1]", 0, 4)), 4, "-1"},
      {one(entry("F32", "[1.5]", 0, 4)), 4, "1.5"},
      {one(entry("F32", "[1e400]", 0, 4)), 4, "no JSON"},
      {one(entry("F32", "[18446744073709551615]", 0, 4)), 4, "18446744073709551615"},
      {one(entry("F32", "[[1]]", 0, 4)), 4, "out of place"},
      {one(entry("F32", "[1,1,1,1,1,1,1]", 0, 4)), 4, "more than 6"},
      {one(entry("F32", "[4611686018427387904,4]", 0, 4)), 4, "overflows"},
      {one(entry("F32", "[2]", 0, 4)), 4, "for 8 bytes"},
      {one(entry("F32", "[1]", 4, 0)), 4, "[4, 0]"},
      {one(entry("F32", "[1]", 0, 4)), 3, "at most 3"},
      {one(entry("F32", "[1]", 4, 8)), 8, "offset 0"},
      {R"({"a":)" + entry("F32", "[2]", 0, 8) + R"(,"b":)" + entry("F32", "[2]", 4, 12) + "}", 12,
       "offset 8"},
  };
  for (Case const& bad : cases) {
    INFO(bad.header);
    std::string const text = refusal(bad.header, bad.data);
    CAPTURE(text);
    CHECK(contains(text, "x.safetensors"));
    CHECK(contains(text, bad.reason));
  }
  CHECK(refusal("{}", 0).empty());
  // Scalars and tensors without elements are tensors.
  CHECK(refusal(R"({"s":)" + entry("F32", "[]", 0, 4) + R"(,"e":)" + entry("F32", "[0]", 4, 4) +
                    R"(,"t":)" + entry("F32", "[1]", 4, 8) + "}",
                8)
            .empty());
}

TEST_CASE("Every truncation is refused, and no flipped bit does harm") {
  TemporaryDirectory const directory;
  std::string const good = small_file();
  auto const read = [&](std::string const& content) {
    directory.write("model.safetensors", content);
    SafetensorsModel const model{system_files(), directory.path()};
    for (auto const& [name, place] : model.tensors()) model.read_f32(name);
  };
  for (std::size_t bytes = 0; bytes < good.size(); ++bytes)
    CHECK_THROWS_AS(read(good.substr(0, bytes)), CorruptData);
  int refused = 0;
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << bit % 8));
    try {
      read(bad);  // a bit of the data, or of a name, makes another sound file
    } catch (CorruptData const&) {
      ++refused;
    } catch (InvalidArgument const&) {  // a type that holds no numbers of ours
      ++refused;
    }
  }
  CHECK(refused > static_cast<int>(good.size()) * 4);
}

TEST_CASE("A header that claims to be long is not believed") {
  TemporaryDirectory const directory;
  std::string const path = directory.write("a", std::string(8, '\xff') + "{}");
  auto const read = [&] { read_safetensors_header(system_files(), path); };
  CHECK(contains(message_of<CorruptData>(read), "18446744073709551615 bytes"));
  directory.write("a", std::string("\x03\0\0\0\0\0\0\0", 8) + "{}");
  CHECK(contains(message_of<CorruptData>(read), "at most 2"));
}

TEST_CASE("An index leads to its files and nowhere else") {
  TemporaryDirectory const directory;
  auto const index = [&](std::string const& map) {
    directory.write("model.safetensors.index.json", R"({"metadata":{},"weight_map":)" + map + "}");
    return message_of<CorruptData>([&] { SafetensorsModel{system_files(), directory.path()}; });
  };
  directory.write("one.safetensors", file_of("{\"a\":" + entry("F32", "[1]", 0, 4) + "}", "abcd"));
  directory.write("two.safetensors", file_of("{\"b\":" + entry("F32", "[1]", 0, 4) + "}", "abcd"));
  directory.write("both.safetensors", file_of("{\"a\":" + entry("F32", "[1]", 0, 4) + "}", "abcd"));
  CHECK(index(R"({"a":"one.safetensors","b":"two.safetensors"})").empty());
  for (std::string const name :
       {"../one.safetensors", "/etc/passwd", "one.bin", ".safetensors", ""})
    CHECK(contains(index(R"({"a":")" + name + R"("})"), "a name of letters"));
  CHECK(contains(index(R"({"a":1})"), "a name of letters"));
  CHECK(contains(index(R"({"a":"one.safetensors","c":"one.safetensors"})"), "'c' is not in"));
  CHECK(contains(index(R"({"a":"one.safetensors","b":"one.safetensors"})"), "'b' is not in"));
  CHECK(contains(index(R"({"b":"two.safetensors","c":"one.safetensors"})"), "'c' is not in"));
  CHECK(contains(index(R"({"a":"one.safetensors","b":"two.safetensors","c":"both.safetensors"})"),
                 "in another file too"));
  CHECK(contains(index(R"({"a":"one.safetensors","a":"two.safetensors"})"), "twice"));
  CHECK(contains(index("[]"), "weight_map"));
  CHECK(contains(index("{"), "no JSON"));
  CHECK(contains(index(std::string(100, '[') + std::string(100, ']')), "levels"));
  directory.write("one.safetensors", file_of("{\"a\":" + entry("F32", "[1]", 0, 4) +
                                                 ",\"z\":" + entry("F32", "[1]", 4, 8) + "}",
                                             "abcdefgh"));
  CHECK(contains(index(R"({"a":"one.safetensors"})"), "'z'"));
  directory.write("model.safetensors.index.json", R"({"weight_map":{"a":"absent.safetensors"}})");
  CHECK_THROWS_AS((SafetensorsModel{system_files(), directory.path()}), IoError);
}

TEST_CASE("What is written is read back, in one file or several") {
  std::vector<SafetensorsOutput> const tensors{{"x", {2, 3}}, {"y", {4}}, {"z", {1}}};
  std::vector<std::vector<float>> const values{{1, 2, 3, 4, 5, 6}, {0.1F, 1.00390625F, -7, 8}, {9}};
  std::vector<std::size_t> asked;
  auto const give = [&](std::size_t i) {
    asked.push_back(i);
    return values[i];
  };
  for (Size const most : {Size{1000}, Size{24}, Size{1}}) {
    TemporaryDirectory const directory;
    asked.clear();
    std::string const out = directory / "new/model";
    write_safetensors(system_files(), out, tensors, DType::f32, most, give);
    CHECK(asked == std::vector<std::size_t>{0, 1, 2});
    SafetensorsModel const model{system_files(), out};
    CHECK(model.tensors().size() == 3);
    for (std::size_t i = 0; i < 3; ++i) CHECK(model.read_f32(tensors[i].name) == values[i]);
    bool const several = most < 1000;
    CHECK(system_files().exists(out + "/model.safetensors") == !several);
    if (most == 24) {  // x is 24 bytes, y and z are 20 together
      auto const index = nlohmann::json::parse(slurp(out + "/model.safetensors.index.json"));
      CHECK(index["metadata"]["total_size"] == 44);
      CHECK(index["weight_map"]["x"] == "model-00001-of-00002.safetensors");
      CHECK(index["weight_map"]["z"] == "model-00002-of-00002.safetensors");
    }
    // Nothing is overwritten.
    CHECK_THROWS_AS(write_safetensors(system_files(), out, tensors, DType::f32, most, give),
                    IoError);
  }
}

TEST_CASE("bf16 is rounded to nearest even") {
  TemporaryDirectory const directory;
  std::vector<float> const values{1.00390625F, 1.01171875F, 3.0F};  // two ties
  write_safetensors(system_files(), directory.path(), {{"t", {3}}}, DType::bf16, 100,
                    [&](std::size_t) { return values; });
  SafetensorsModel const model{system_files(), directory.path()};
  CHECK(model.read_f32("t") == std::vector<float>{1.0F, 1.015625F, 3.0F});
  std::string const content = slurp(directory / "model.safetensors");
  CHECK((content.size() - 6) % 8 == 0);  // the data begins at a multiple of 8
}

TEST_CASE("The writer refuses what it cannot write") {
  TemporaryDirectory const directory;
  auto const write = [&](DType type, Size most) {
    write_safetensors(system_files(), directory.path(), {}, type, most,
                      [](std::size_t) { return std::vector<float>{}; });
  };
  CHECK_THROWS_AS(write(DType::i32, 100), InvalidArgument);
  CHECK_THROWS_AS(write(DType::f32, 0), InvalidArgument);
}
