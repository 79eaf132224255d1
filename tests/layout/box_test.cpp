// SPDX-License-Identifier: Apache-2.0
#include "dsr/layout/box.hpp"

#include <algorithm>
#include <vector>

#include "dsr/core/error.hpp"
#include "support/catch.hpp"

using namespace dsr;

namespace {

/// Flat indices of a box's elements in a row-major block, in order.
std::vector<Size> elements_of(Shape const& block, Box const& box) {
  std::vector<Size> found;
  for (Size flat = 0; flat < block.elements(); ++flat) {
    Size rest = flat;
    bool inside = true;
    for (int dim = block.rank() - 1; dim >= 0; --dim) {
      Size const i = rest % block[dim];
      rest /= block[dim];
      inside = inside && i >= box.begin[dim] && i < box.begin[dim] + box.count[dim];
    }
    if (inside) found.push_back(flat);
  }
  return found;
}

/// True if the flat range fills its own bounding box.
bool is_box(Shape const& block, Size begin, Size end) {
  Size bounding = 1, stride = block.elements();
  for (int dim = 0; dim < block.rank(); ++dim) {
    stride /= block[dim];
    Size low = block[dim], high = -1;
    for (Size flat = begin; flat < end; ++flat) {
      Size const i = flat / stride % block[dim];
      low = std::min(low, i);
      high = std::max(high, i);
    }
    bounding *= high - low + 1;
  }
  return bounding == end - begin;
}

/// Fewest boxes that a flat range falls into, by trying every way to cut it.
std::size_t fewest_boxes(Shape const& block, Size begin, Size end) {
  std::vector<std::size_t> fewest(static_cast<std::size_t>(end - begin) + 1, 0);
  for (Size to = begin + 1; to <= end; ++to) {
    std::size_t best = static_cast<std::size_t>(to - begin);
    for (Size from = begin; from < to; ++from) {
      if (is_box(block, from, to))
        best = std::min(best, fewest[static_cast<std::size_t>(from - begin)] + 1);
    }
    fewest[static_cast<std::size_t>(to - begin)] = best;
  }
  return fewest.back();
}

}  // namespace

TEST_CASE("intersect gives the common part") {
  Box const a{{0, 4}, {8, 4}}, b{{6, 2}, {8, 4}};
  CHECK(intersect(a, b) == Box{{6, 4}, {2, 2}});
  CHECK(intersect(b, a) == Box{{6, 4}, {2, 2}});
  CHECK(intersect(a, a) == a);
  CHECK_FALSE(intersect(a, Box{{8, 4}, {1, 1}}).has_value());
  CHECK_FALSE(intersect(a, Box{{2, 5}, {0, 2}}).has_value());
  CHECK(intersect(Box{}, Box{}) == Box{});
  CHECK_THROWS_AS(intersect(a, Box({0}, {1})), InvalidArgument);
}

TEST_CASE("a flat range becomes the fewest boxes, in order, that hold exactly its elements") {
  for (Shape const& block : {Shape{7}, Shape{3, 4}, Shape{2, 3, 4}, Shape{3, 1, 3}, Shape{1, 4, 1},
                             Shape{2, 2, 2, 2}, Shape{1, 1}}) {
    for (Size begin = 0; begin <= block.elements(); ++begin) {
      for (Size end = begin; end <= block.elements(); ++end) {
        std::vector<Box> const boxes = boxes_of_range(block, begin, end);
        std::vector<Size> found;
        for (Box const& box : boxes) {
          auto const elements = elements_of(block, box);
          found.insert(found.end(), elements.begin(), elements.end());
        }
        std::vector<Size> expected;
        for (Size flat = begin; flat < end; ++flat) expected.push_back(flat);
        INFO(to_string(block) << " [" << begin << ", " << end << ")");
        REQUIRE(found == expected);
        REQUIRE(boxes.size() == fewest_boxes(block, begin, end));
        REQUIRE(boxes.size() <= static_cast<std::size_t>(2 * block.rank() - 1));
      }
    }
  }
}

TEST_CASE("ranges of blocks without dimensions or elements") {
  CHECK(boxes_of_range(Shape{}, 0, 1) == std::vector<Box>{Box{}});
  CHECK(boxes_of_range(Shape{}, 0, 0).empty());
  CHECK(boxes_of_range({3, 0, 2}, 0, 0).empty());
  CHECK_THROWS_AS(boxes_of_range({3, 4}, 0, 13), InvalidArgument);
  CHECK_THROWS_AS(boxes_of_range({3, 4}, -1, 3), InvalidArgument);
  CHECK_THROWS_AS(boxes_of_range({3, 4}, 5, 3), InvalidArgument);
}

TEST_CASE("a cover is exact: no gap, no overlap, nothing outside") {
  Shape const global{4, 6};
  std::vector<Box> const good{
      {{0, 0}, {2, 6}}, {{2, 0}, {2, 3}}, {{2, 3}, {2, 3}}, {{4, 0}, {0, 6}}};
  CHECK(covers_once(global, good));
  CHECK_FALSE(covers_once(global, {good[0], good[1]}));
  CHECK_FALSE(covers_once(global, {good[0], good[1], good[2], good[2]}));
  // The right number of elements, but one part twice and another not at all.
  CHECK_FALSE(covers_once(global, {good[0], good[1], good[1]}));
  CHECK_FALSE(covers_once(global, {{{0, 0}, {3, 6}}, {{3, 0}, {1, 3}}, {{2, 3}, {1, 3}}}));
  CHECK_FALSE(covers_once(global, {good[0], good[1], {{2, 4}, {2, 3}}}));
  CHECK_FALSE(covers_once(global, {{{0}, {24}}}));
  CHECK_FALSE(covers_once(global, {}));
}

TEST_CASE("covers of shapes without dimensions or elements") {
  CHECK(covers_once({}, {Box{}}));
  CHECK_FALSE(covers_once({}, {}));
  CHECK_FALSE(covers_once({}, {Box{}, Box{}}));
  CHECK(covers_once({0, 3}, {}));
}

TEST_CASE("a box prints begin and sizes") {
  CHECK(to_string(Box{{0, 4}, {8, 2}}) == "[0, 4] + [8, 2]");
}
