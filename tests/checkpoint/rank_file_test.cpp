// SPDX-License-Identifier: Apache-2.0
// A tensor cut into boxes over several files, read back through other boxes.
#include "dsr/checkpoint/rank_file.hpp"

#include <cstring>
#include <filesystem>
#include <memory>

#include "dsr/core/error.hpp"
#include "io/temporary_directory.hpp"
#include "support/catch.hpp"
#include "support/text_of.hpp"

namespace dsr {
namespace {

/// A global tensor of numbers that say where they are.
std::vector<float> numbers(Shape const& shape) {
  std::vector<float> values(static_cast<std::size_t>(shape.elements()));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i) + 0.5F;
  return values;
}

/// The elements of a box, one by one.
std::vector<float> elements_of(std::vector<float> const& whole, Shape const& shape, Box const& box) {
  std::vector<float> values;
  for (Size i = 0; i < shape.elements(); ++i) {
    bool inside = true;
    Size rest = i;
    for (int d = shape.rank() - 1; d >= 0; --d) {
      Size const at = rest % shape[d];
      rest /= shape[d];
      inside = inside && at >= box.begin[d] && at < box.begin[d] + box.count[d];
    }
    if (inside) values.push_back(whole[static_cast<std::size_t>(i)]);
  }
  return values;
}

struct Saved {
  std::unique_ptr<test::TemporaryDirectory> directory = std::make_unique<test::TemporaryDirectory>();
  Shape shape;
  std::vector<float> whole;
  Manifest manifest;
};

/// Each inner list of boxes is a rank's.
Saved save(Shape const& shape, std::vector<std::vector<Box>> const& ranks) {
  Saved saved;
  saved.shape = shape;
  saved.whole = numbers(shape);
  std::vector<RankReport> reports;
  for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
    std::vector<std::vector<float>> memory;
    std::vector<HostPiece> pieces;
    for (Box const& box : ranks[rank]) memory.push_back(elements_of(saved.whole, shape, box));
    for (std::size_t i = 0; i < memory.size(); ++i)
      pieces.push_back({"model/w", shape, DType::f32, ranks[rank][i], std::as_bytes(std::span{memory[i]})});
    RankReport const report = write_rank_file(system_files(), saved.directory->path(),
                                              static_cast<int>(rank), pieces);
    reports.push_back(parse_report(to_text(report)));
    CHECK(to_text(reports.back()) == to_text(report));
  }
  saved.manifest = merge_reports(reports);
  saved.manifest.run_id = "test";
  return saved;
}

void check_box(Saved const& saved, Box const& box) {
  INFO(to_string(box));
  std::vector<float> found(static_cast<std::size_t>(box.elements()));
  read_part(system_files(), saved.directory->path(), saved.manifest, saved.manifest.tensors.at(0), box,
            std::as_writable_bytes(std::span{found}));
  CHECK(found == elements_of(saved.whole, saved.shape, box));
}

}  // namespace

TEST_CASE("parts of a tensor come back through any box, whatever boxes were written") {
  Saved const rows = save({7, 5}, {{{{0, 0}, {3, 5}}}, {{{3, 0}, {4, 5}}}});
  Saved const columns = save({7, 5}, {{{{0, 0}, {7, 2}}}, {{{0, 2}, {7, 3}}}});
  Saved const mixed = save({7, 5}, {{{{0, 0}, {1, 5}}, {{1, 0}, {2, 3}}},
                                    {{{1, 3}, {2, 2}}, {{3, 0}, {4, 4}}, {{3, 4}, {4, 1}}}});
  for (Saved const* saved : {&rows, &columns, &mixed}) {
    CHECK_NOTHROW(parse_manifest(to_text(saved->manifest), "m"));
    for (Size row = 0; row < 7; ++row) {
      for (Size column = 0; column < 5; ++column) {
        for (Size height : {Size{1}, 7 - row}) {
          for (Size width : {Size{1}, 5 - column}) check_box(*saved, {{row, column}, {height, width}});
        }
      }
    }
  }
}

TEST_CASE("tensors of one, three and no dimensions, and parts that pass a window") {
  check_box(save({}, {{{{}, {}}}}), {{}, {}});
  check_box(save({11}, {{{{0}, {4}}}, {{{4}, {7}}}}), {{2}, {5}});
  Saved const cube = save({4, 3, 6}, {{{{0, 0, 0}, {4, 2, 6}}}, {{{0, 2, 0}, {4, 1, 6}}}});
  check_box(cube, {{1, 1, 2}, {3, 2, 3}});
  check_box(cube, {{0, 0, 0}, {4, 3, 6}});
  Saved const wide = save({700, 1000}, {{{{0, 0}, {700, 400}}}, {{{0, 400}, {700, 600}}}});
  check_box(wide, {{0, 0}, {700, 1000}});
  check_box(wide, {{3, 399}, {690, 2}});
}

TEST_CASE("what does not fit is refused, what is gone or short is named") {
  Saved saved = save({7, 5}, {{{{0, 0}, {3, 5}}}, {{{3, 0}, {4, 5}}}});
  std::vector<float> memory(35);
  auto const bytes = std::as_writable_bytes(std::span{memory});
  auto const read = [&](Box const& box, std::span<std::byte> to) {
    read_part(system_files(), saved.directory->path(), saved.manifest, saved.manifest.tensors[0], box, to);
  };
  CHECK_THROWS_AS(read({{0, 0}, {7, 5}}, bytes.first(8)), InvalidArgument);
  CHECK_THROWS_AS(read({{0, 0}, {8, 5}}, std::as_writable_bytes(std::span{memory}).first(0)), InvalidArgument);
  std::filesystem::resize_file(saved.directory->path() + "/rank_00001.h5", 4100);
  CHECK(test::contains(test::text_of<CorruptData>([&] { read({{0, 0}, {7, 5}}, bytes); }), "rank_00001.h5"));
  std::filesystem::remove(saved.directory->path() + "/rank_00000.h5");
  CHECK(test::contains(test::text_of<IoError>([&] { read({{0, 0}, {7, 5}}, bytes); }), "rank_00000.h5"));
  HostPiece const piece{"model/w", {7, 5}, DType::f32, {{0, 0}, {1, 5}}, bytes.first(8)};
  CHECK_THROWS_AS(write_rank_file(system_files(), saved.directory->path(), 7, {piece}), InvalidArgument);
  CHECK_THROWS_AS(parse_report("{}"), CorruptData);
  RankReport a, b;
  a.tensors = {{"model/w", {3}, DType::f32, {}}};
  b.tensors = {{"model/w", {4}, DType::f32, {}}};
  CHECK_THROWS_AS(merge_reports({a, b}), InvalidArgument);
}

}  // namespace dsr
