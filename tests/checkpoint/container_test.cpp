// SPDX-License-Identifier: Apache-2.0
#include "dsr/checkpoint/container.hpp"

#include <algorithm>
#include <cstring>

#include "dsr/core/error.hpp"
#include "io/temporary_directory.hpp"
#include "support/catch.hpp"

using namespace dsr;
using namespace dsr::test;

namespace {

std::vector<Dataset> many(int tensors) {
  std::vector<Dataset> datasets;
  for (int i = 0; i < tensors; ++i) {
    std::string const name = "model/blocks/" + std::to_string(i / 4) + "/part_" + std::to_string(i);
    datasets.push_back({.path = slice_path(name, 0), .shape = {3 + i % 5, 7}, .dtype = DType::f32});
    datasets.push_back({.path = slice_path(name, 1), .shape = {i % 3 + 1}, .dtype = DType::bf16});
  }
  return datasets;
}

struct Range {
  Size begin = 0, end = 0;
  bool payload = false;
};

/// Payload and metadata of a container, by offset.
std::vector<Range> ranges_of(Container const& container) {
  std::vector<Range> ranges;
  for (Dataset const& set : container.datasets()) {
    ranges.push_back({set.offset, set.offset + set.shape.elements() * size_of(set.dtype), true});
  }
  for (Container::Piece const& piece : container.metadata()) {
    ranges.push_back({piece.offset, piece.offset + std::ssize(piece.bytes), false});
  }
  std::ranges::sort(ranges, {}, &Range::begin);
  return ranges;
}

bool same(Container const& a, Container const& b) {
  return a.bytes() == b.bytes() &&
         std::ranges::equal(a.metadata(), b.metadata(), [](auto const& left, auto const& right) {
           return left.offset == right.offset && left.bytes == right.bytes;
         });
}

}  // namespace

TEST_CASE("payload is aligned, and nothing overlaps or is outside the file") {
  for (int const tensors : {0, 1, 5, 400}) {
    Container const container{many(tensors)};
    REQUIRE(std::ssize(container.datasets()) == 2 * tensors);
    Size end = 0;
    for (Range const& range : ranges_of(container)) {
      CHECK(range.begin >= end);
      if (range.payload) CHECK(range.begin % kPayloadAlignment_bytes == 0);
      end = range.end;
    }
    CHECK(end <= container.bytes());
    std::vector<Dataset> const given = many(tensors);
    CHECK(std::ranges::equal(given, container.datasets(), {}, &Dataset::path, &Dataset::path));
  }
}

TEST_CASE("metadata is small and in few pieces") {
  Container const container{many(1000)};
  Size bytes = 0;
  for (Container::Piece const& piece : container.metadata()) bytes += std::ssize(piece.bytes);
  CHECK(bytes < 2000 * 1024);
  CHECK(container.metadata().size() < 40);
}

TEST_CASE("a file has HDF5's signature and a superblock of version 2") {
  Container const container{many(1)};
  REQUIRE(container.metadata().at(0).offset == 0);
  char const wanted[] = "\x89HDF\r\n\x1a\n\x02";
  CHECK(std::memcmp(container.metadata()[0].bytes.data(), wanted, 9) == 0);
}

TEST_CASE("equal datasets give equal bytes") {
  CHECK(same(Container{many(20)}, Container{many(20)}));
  CHECK_FALSE(same(Container{many(20)}, Container{many(21)}));
}

TEST_CASE("a container of a terabyte costs its metadata") {
  Container const container{{{.path = "a", .shape = {Size{1} << 38}, .dtype = DType::f32},
                             {.path = "b", .shape = {}, .dtype = DType::i64}}};
  CHECK(container.bytes() > Size{1} << 40);
  CHECK(container.metadata().size() < 4);
}

TEST_CASE("Container refuses what no file can hold") {
  auto const text = [](std::vector<Dataset> datasets) {
    return message_of<InvalidArgument>([&] { Container{std::move(datasets)}; });
  };
  CHECK(contains(text({{.path = "a/../b", .shape = {1}}}), "a/../b"));
  CHECK(contains(text({{.path = "/a", .shape = {1}}}), "/a"));
  CHECK(contains(text({{.path = "", .shape = {1}}}), "name"));
  CHECK(contains(text({{.path = "a", .shape = {4, 0}}}), "[4, 0]"));
  CHECK(contains(text({{.path = "a", .shape = {1}}, {.path = "a", .shape = {1}}}), "twice"));
  CHECK(
      contains(text({{.path = "a/b", .shape = {1}}, {.path = "a", .shape = {1}}}), "dataset too"));
  // HDF5 stores the size of a dimension; what it cannot address it refuses itself.
  Size const huge = Size{1} << 62;
  CHECK(contains(message_of<Error>([&] { Container{{{.path = "a", .shape = {huge}}}}; }), "HDF5"));
}
