// SPDX-License-Identifier: Apache-2.0
#include "dsr/checkpoint/manifest.hpp"

#include <functional>

#include "checkpoint/manifest_text.hpp"
#include "dsr/checkpoint/hash.hpp"
#include "dsr/core/error.hpp"
#include "io/temporary_directory.hpp"
#include "support/catch.hpp"

using namespace dsr;
using namespace dsr::test;

namespace {

std::string refusal(std::string const& text) {
  return message_of<CorruptData>([&] { parse_manifest(text, "set/manifest.json"); });
}

/// What is said of the sample manifest with one part of its text replaced and the hash made anew.
std::string refusal_with(std::string const& part, std::string const& other) {
  std::string body = body_of(to_text(sample_manifest()));
  std::size_t const at = body.find(part);
  REQUIRE(at != std::string::npos);
  body.replace(at, part.size(), other);
  return refusal(sealed(body));
}

std::string refusal_of(std::function<void(Manifest&)> const& change) {
  Manifest manifest = sample_manifest();
  change(manifest);
  return message_of<InvalidArgument>([&] { to_text(manifest); });
}

}  // namespace

TEST_CASE("a manifest survives its text") {
  Manifest const manifest = sample_manifest();
  std::string const text = to_text(manifest);
  Manifest const back = parse_manifest(text, "m");
  CHECK(to_text(back) == text);
  CHECK(back.step == 1200);
  CHECK(back.generation == 2);
  CHECK(back.run_id == "run-7");
  CHECK(back.mesh == "dp=2 row=1 col=1");
  CHECK(back.saved_unix == 1'700'000'000.25);
  REQUIRE(back.files.size() == 2);
  CHECK(back.files[0].blocks.size() == 2);
  CHECK(back.files[0].hash == manifest.files[0].hash);
  REQUIRE(back.tensors.size() == 3);
  CHECK(back.tensors[0].name == "model/table");
  CHECK(back.tensors[0].shape == Shape{4, 6});
  CHECK(back.tensors[0].dtype == DType::f32);
  REQUIRE(back.tensors[0].slices.size() == 2);
  CHECK(back.tensors[0].slices[1].file == 1);
  CHECK(back.tensors[0].slices[1].offset == 4096);
  CHECK(back.tensors[0].slices[1].bytes == 48);
  CHECK(back.tensors[0].slices[1].box == Box{{2, 0}, {2, 6}});
  CHECK(back.state == manifest.state);
  CHECK(back.versions == manifest.versions);
  CHECK(to_text(parse_manifest(to_text(Manifest{}), "m")) == to_text(Manifest{}));
}

TEST_CASE("the last key is the hash of all that is before it") {
  std::string const text = to_text(sample_manifest());
  std::string const body = body_of(text);
  CHECK(text == sealed(body));
  CHECK(text.ends_with("\"\n}\n"));
}

TEST_CASE("the hash of a set's content is that of its state, wherever the copy is") {
  Manifest const manifest = sample_manifest();
  auto const changed = [&](std::function<void(Manifest&)> const& change) {
    Manifest other = manifest;
    change(other);
    return content_hash(other) != content_hash(manifest);
  };
  CHECK_FALSE(changed([](Manifest& m) { m.files.push_back({"checkpoint.h5", 100, "x", {"y"}}); }));
  CHECK_FALSE(changed([](Manifest& m) { m.saved_unix += 1; }));
  CHECK(changed([](Manifest& m) { m.step += 1; }));
  CHECK(changed([](Manifest& m) { m.generation += 1; }));
  CHECK(changed([](Manifest& m) { m.files[1].hash[0] ^= 1; }));
  CHECK(changed([](Manifest& m) { m.files.pop_back(); }));
  CHECK(changed([](Manifest& m) { std::swap(m.files[0].hash, m.files[1].hash); }));
}

TEST_CASE("every flip of a bit and every truncation is found") {
  std::string const text = to_text(sample_manifest());
  for (std::size_t i = 0; i < text.size(); ++i) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      std::string flipped = text;
      flipped[i] = static_cast<char>(static_cast<unsigned char>(flipped[i]) ^ (1U << bit));
      if (!contains(refusal(flipped), "set/manifest.json")) FAIL("byte " << i << " bit " << bit);
    }
    if (!contains(refusal(text.substr(0, i)), "set/manifest.json")) FAIL("cut to " << i);
  }
  CHECK(contains(refusal(text + "\n"), "manifest_hash"));
}

TEST_CASE("JSON of another form is refused by key") {
  CHECK(contains(refusal_with("dsr-checkpoint-1", "dsr-checkpoint-2"), "format"));
  CHECK(contains(refusal_with("\"step\": 1200", "\"step\": \"1200\""), "step"));
  CHECK(contains(refusal_with("\"step\": 1200", "\"step\": 1200.0"), "step"));
  CHECK(contains(refusal_with("\"step\": 1200", "\"step\": -1"), "step"));
  CHECK(contains(refusal_with("\"step\": 1200", "\"step\": 1000000000"), "step"));
  CHECK(contains(refusal_with("\"step\": 1200", "\"step\": 18446744073709551615"), "step"));
  CHECK(contains(refusal_with("\"step\": 1200", "\"step\": 1e999"), "set/manifest.json"));
  CHECK(contains(refusal_with("\"step\": 1200", "\"steps\": 1200"), "no key step"));
  CHECK(contains(refusal_with("\"step\": 1200", "\"step\": 1200, \"step\": 1200"), "twice"));
  CHECK(contains(refusal_with("\"step\": 1200", "\"step\": 1200, \"x\": 0"), "\"x\""));
  CHECK(contains(refusal_with("\"generation\": 2", "\"generation\": 1000"), "generation"));
  CHECK(contains(refusal_with("\"saved_unix\": 1", "\"saved_unix\": -1"), "saved_unix"));
  CHECK(
      contains(refusal_with("\"saved_unix\": 1700000000.25", "\"saved_unix\": []"), "saved_unix"));
  CHECK(contains(refusal_with("\"dtype\":\"f32\"", "\"dtype\":\"f16\""), "tensors[0].dtype"));
  CHECK(contains(refusal_with("\"shape\":[4,6]", "\"shape\":[4,-6]"), "tensors[0].shape[1]"));
  CHECK(contains(refusal_with("\"shape\":[4,6]", "\"shape\":[4,6,1,1,1,1,1]"), "shape[6]"));
  CHECK(contains(refusal_with("\"shape\":[4,6]", "\"shape\":24"), "tensors[0].shape"));
  CHECK(contains(refusal_with("\"start\":[2,0]", "\"start\":[2]"), "tensors[0].slices[1]"));
  CHECK(contains(refusal_with("\"file\":1,", "\"file\":1,\"hot\":1,"), "slices"));
  CHECK(contains(refusal_with("\"file\":1,", "\"file\":4294967296,"), "file"));
  CHECK(contains(refusal_with("\"files\": [", "\"files\": {"), "set/manifest.json"));
  CHECK(contains(refusal_with("\"state\": {", "\"state\": {\"a\": 1, "), "state.a"));
  CHECK(
      contains(refusal_with("\"versions\": {", "\"versions\": {\"a\": {\"b\": 1}, "), "versions"));
}

TEST_CASE("texts that are no manifest") {
  CHECK(contains(refusal(""), "manifest_hash"));
  CHECK(contains(refusal(sealed("")), "set/manifest.json"));
  CHECK(contains(refusal(sealed("[")), "set/manifest.json"));
  CHECK(contains(refusal(sealed("{")), "no key"));
  CHECK(contains(refusal(sealed("{\"a\": " + std::string(100'000, '['))), "levels"));
  CHECK(contains(refusal(sealed("{\"\xff\": 1,")), "set/manifest.json"));
}

TEST_CASE("contents that no set has are refused, reading and writing alike") {
  auto const name = [](std::string const& text) {
    return refusal_of([&](Manifest& m) { m.files[1].name = text; });
  };
  for (std::string const bad : {"", ".", "..", "../x", "a/b", "/etc/passwd", ".hidden", "a b",
                                "manifest.json", "a\\b", "a\nb"}) {
    CHECK(contains(name(bad), "files[1].name"));
  }
  CHECK(contains(name(std::string(256, 'a')), "files[1].name"));
  CHECK(contains(name("rank_00000.h5"), "again"));
  CHECK(contains(refusal_with("rank_00001.h5", "../../passwd"), "files[1].name"));

  CHECK(contains(refusal_of([](auto& m) { m.step = -1; }), "step"));
  CHECK(contains(refusal_of([](auto& m) { m.generation = -1; }), "generation"));
  CHECK(contains(refusal_of([](auto& m) { m.run_id = "../x"; }), "run_id"));
  CHECK(contains(refusal_of([](auto& m) { m.saved_unix = 0.0 / 0.0; }), "saved_unix"));
  CHECK(contains(refusal_of([](auto& m) { m.mesh = "\xff"; }), "UTF-8"));
  CHECK(contains(refusal_of([](auto& m) { m.files[0].hash[0] ^= 1; }), "files[0].hash"));
  CHECK(contains(refusal_of([](auto& m) { m.files[0].blocks[1] = "x"; }), "files[0].blocks[1]"));
  CHECK(contains(refusal_of([](auto& m) { m.files[0].blocks.pop_back(); }), "files[0].blocks"));
  CHECK(contains(refusal_of([](auto& m) { m.files[0].bytes = -5; }), "files[0].bytes"));
  CHECK(contains(refusal_of([](auto& m) { m.files[0].bytes = Size{1} << 61; }), "bytes"));
  for (std::string const bad : {"", "/a", "a/", "a//b", "a/../b", ".", "a\nb", "\xc3\xa4"}) {
    CHECK(contains(refusal_of([&](Manifest& m) { m.tensors[1].name = bad; }), "tensors[1].name"));
  }
  CHECK(contains(refusal_of([](auto& m) { m.tensors[1].name = "model/table"; }), "again"));
  CHECK(contains(refusal_of([](auto& m) { m.tensors[1].name = "model/table/x/y"; }), "above"));
  CHECK(contains(refusal_of([](auto& m) { m.tensors[1].name = "model"; }), "above"));
  // In the order of characters this one lies between "model/table" and what is below it.
  CHECK(contains(refusal_of([](auto& m) {
                   m.tensors[1].name = "model/table/x";
                   m.tensors[2].name = "model/table!";
                 }),
                 "above"));
}

TEST_CASE("slices that do not fit are refused") {
  auto const slice = [](auto change) {
    return refusal_of([&](Manifest& m) { change(m.tensors[0].slices[1]); });
  };
  CHECK(contains(slice([](Slice& s) { s.file = 2; }), "slices[1].file"));
  CHECK(contains(slice([](Slice& s) { s.file = -1; }), "slices[1].file"));
  CHECK(contains(slice([](Slice& s) { s.offset = -1; }), "slices[1].offset"));
  CHECK(contains(slice([](Slice& s) { s.offset = 8192 - 47; }), "slices[1].offset"));
  CHECK(contains(slice([](Slice& s) { s.offset = INT64_MAX; }), "slices[1].offset"));
  CHECK(contains(slice([](Slice& s) { s.bytes = 44; }), "slices[1].bytes"));
  CHECK(contains(slice([](Slice& s) { s.box.begin = {3, 0}; }), "slices[1]"));
  CHECK(contains(slice([](Slice& s) { s.box.begin = {INT64_MAX, 0}; }), "slices[1]"));
  CHECK(contains(slice([](Slice& s) { s.box.count = {2, 0}; }), "slices[1]"));
  CHECK(contains(slice([](Slice& s) { s.box.count = {12}; }), "dimensions"));
  CHECK(contains(slice([](Slice& s) { s.box.begin = {1, 0}; }), "missing or twice"));
  CHECK(contains(refusal_of([](auto& m) { m.tensors[0].slices.pop_back(); }), "missing or twice"));
  CHECK(contains(refusal_of([](auto& m) { m.tensors[2].slices.clear(); }), "missing or twice"));
  CHECK(contains(refusal_of([](auto& m) {
                   m.tensors[0].shape = {Size{1} << 40, Size{1} << 40};
                 }),
                 "tensors[0].shape"));
  CHECK(contains(refusal_of([](auto& m) { m.tensors[2].slices[0].offset = 4096 + 40; }),
                 "share bytes"));
}

TEST_CASE("names") {
  CHECK(plain_name("rank_00003.h5"));
  CHECK(plain_name("a..b"));
  CHECK_FALSE(plain_name(".."));
  CHECK(tensor_name("model/blocks/3/attention/qkv/weight"));
  CHECK(tensor_name("a b%c"));
  CHECK(tensor_name(std::string(1024, 'a')));
  CHECK_FALSE(tensor_name(std::string(1025, 'a')));
}
