// SPDX-License-Identifier: Apache-2.0
#include "libdsr/checkpoint/tiling.hpp"

#include <algorithm>
#include <random>

#include "support/catch.hpp"

using namespace dsr;
using dsr::detail::tiles;

namespace {

using Random = std::mt19937;

Size draw(Random& random, Size least, Size most) {
  return std::uniform_int_distribution<Size>{least, most}(random);
}

/// Cuts a box in two again and again.
std::vector<Box> random_tiling(Shape const& global, Random& random) {
  std::vector<Box> boxes{{Shape{}, global}};
  boxes[0].begin = global;
  for (int dim = 0; dim < global.rank(); ++dim) boxes[0].begin = boxes[0].begin.with(dim, 0);
  for (int cut = 0; cut < 12 && global.rank() > 0; ++cut) {
    auto const which = static_cast<std::size_t>(draw(random, 0, std::ssize(boxes) - 1));
    Box const box = boxes[which];
    int const dim = static_cast<int>(draw(random, 0, global.rank() - 1));
    if (box.count[dim] < 2) continue;
    Size const at = draw(random, 1, box.count[dim] - 1);
    boxes[which].count = box.count.with(dim, at);
    boxes.push_back(
        {box.begin.with(dim, box.begin[dim] + at), box.count.with(dim, box.count[dim] - at)});
  }
  std::ranges::shuffle(boxes, random);
  return boxes;
}

/// How often each element is covered, counted one by one.
bool covered_once(Shape const& global, std::vector<Box> const& boxes) {
  std::vector<int> counts(static_cast<std::size_t>(global.elements()));
  for (Box const& box : boxes) {
    for (Size i = 0; i < box.elements(); ++i) {
      Size rest = i, flat = 0, stride = 1;
      for (int dim = global.rank() - 1; dim >= 0; --dim) {
        flat += stride * (box.begin[dim] + rest % box.count[dim]);
        rest /= box.count[dim];
        stride *= global[dim];
      }
      ++counts[static_cast<std::size_t>(flat)];
    }
  }
  return std::ranges::all_of(counts, [](int count) { return count == 1; });
}

/// One box gone, doubled, shrunk, or moved.
void disturb(std::vector<Box>& boxes, Shape const& global, Random& random) {
  auto const which = static_cast<std::size_t>(draw(random, 0, std::ssize(boxes) - 1));
  Box& box = boxes[which];
  int const dim = static_cast<int>(draw(random, 0, global.rank() - 1));
  switch (draw(random, 0, 3)) {
    case 0:
      boxes.erase(boxes.begin() + static_cast<std::ptrdiff_t>(which));
      break;
    case 1:
      boxes.push_back(Box{box});
      break;
    case 2:
      if (box.count[dim] > 1) box.count = box.count.with(dim, box.count[dim] - 1);
      break;
    default:
      box.begin = box.begin.with(dim, draw(random, 0, global[dim] - box.count[dim]));
  }
}

}  // namespace

TEST_CASE("tiles agrees with counting") {
  Random random{7};
  int disturbed_covers = 0;
  for (int round = 0; round < 3000; ++round) {
    std::vector<Size> sizes(static_cast<std::size_t>(draw(random, 1, 4)));
    for (Size& size : sizes) size = draw(random, 1, 7);
    Shape const global{std::span<Size const>{sizes}};
    std::vector<Box> boxes = random_tiling(global, random);
    REQUIRE(tiles(global, boxes));
    for (Size i = draw(random, 1, 2); i > 0 && !boxes.empty(); --i) disturb(boxes, global, random);
    bool const wanted = covered_once(global, boxes);
    if (tiles(global, boxes) != wanted) FAIL(to_string(global));
    disturbed_covers += wanted ? 1 : 0;
  }
  CHECK(disturbed_covers > 0);  // moves that moved nothing: both answers were compared
  CHECK(disturbed_covers < 1500);
}

TEST_CASE("tiles without dimensions or elements") {
  CHECK(tiles({}, {{{}, {}}}));
  CHECK_FALSE(tiles({}, {}));
  CHECK_FALSE(tiles({}, {{{}, {}}, {{}, {}}}));
  CHECK(tiles({3, 0}, {}));
  CHECK_FALSE(tiles({3, 2}, {}));
}

TEST_CASE("equal volume is not enough") {
  // Half twice and half missing.
  CHECK_FALSE(tiles({2, 2}, {{{0, 0}, {1, 2}}, {{0, 0}, {1, 2}}}));
  // The corner that is covered twice makes up for the one that is missing.
  CHECK_FALSE(tiles({3, 3}, {{{0, 0}, {2, 2}}, {{1, 1}, {2, 2}}, {{0, 2}, {1, 1}}}));
}

TEST_CASE("many boxes in one row take no quadratic time") {
  Size const columns = 200'000;
  std::vector<Box> boxes;
  for (Size i = 0; i < columns; ++i) boxes.push_back({{0, i}, {1, 1}});
  CHECK(tiles({1, columns}, boxes));
  boxes.back().begin = {0, columns - 2};
  CHECK_FALSE(tiles({1, columns}, boxes));
}
