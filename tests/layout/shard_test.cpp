// SPDX-License-Identifier: Apache-2.0
#include "dsr/layout/shard.hpp"

#include <vector>

#include "dsr/core/error.hpp"
#include "layout/shapes.hpp"
#include "support/catch.hpp"
#include "support/text_of.hpp"

using namespace dsr;

TEST_CASE("a weight cut over row and col") {
  MeshShape const mesh{.dp = 2, .row = 2, .col = 3};
  Shard const weight{{8, 6}, {{0, Axis::row}, {1, Axis::col}}, mesh};
  CHECK(weight.local_shape() == Shape{4, 2});
  CHECK(weight.box({{0, 0, 1, 2}}) == Box{{4, 4}, {4, 2}});
  CHECK(weight.box({{1, 0, 1, 2}}) == Box{{4, 4}, {4, 2}});
  CHECK(weight.box({{1, 0, 0, 0}}) == Box{{0, 0}, {4, 2}});
  CHECK(weight.cut_over() == kModelAxes);
}

TEST_CASE("padding is storage only") {
  MeshShape const mesh{.row = 2, .col = 2};
  Shard const table{{257, 3}, {{0, kModelAxes, Remainder::pad}}, mesh};
  CHECK(table.local_shape() == Shape{65, 3});
  CHECK(table.box({{0, 0, 0, 0}}) == Box{{0, 0}, {65, 3}});
  CHECK(table.box({{0, 0, 1, 0}}) == Box{{130, 0}, {65, 3}});
  CHECK(table.box({{0, 0, 1, 1}}) == Box{{195, 0}, {62, 3}});

  Shard const tiny{{3}, {{0, kModelAxes, Remainder::pad}}, MeshShape{.row = 5}};
  CHECK(tiny.local_shape() == Shape{1});
  CHECK(tiny.box({{0, 0, 2, 0}}) == Box{{2}, {1}});
  CHECK(tiny.box({{0, 0, 3, 0}}).empty());
  CHECK(tiny.box({{0, 0, 4, 0}}).empty());
}

TEST_CASE("the boxes of the ranks that differ in the cut axes cover the tensor exactly once") {
  for (MeshShape const& mesh : test::mesh_shapes()) {
    for (auto const& cuts : test::matrix_cuts()) {
      Shard const shard{{7, 11}, cuts, mesh};
      Shape const local = shard.local_shape();
      std::vector<Box> boxes;
      for (int rank = 0; rank < mesh.ranks(); ++rank) {
        Box const box = shard.box(place_of(mesh, rank));
        REQUIRE(box.count[0] <= local[0]);
        REQUIRE(box.count[1] <= local[1]);
        if (place_in(mesh, place_of(mesh, rank), kWorld - shard.cut_over()) == 0)
          boxes.push_back(box);
      }
      INFO(to_string(mesh) << " over " << to_string(shard.cut_over()));
      REQUIRE(covers_once({7, 11}, boxes));
    }
  }
}

TEST_CASE("what cannot be divided is refused with the equation and the nearest sizes") {
  MeshShape const mesh{.row = 2, .col = 1};
  CHECK(test::text_of<InvalidArgument>([&] {
          Shard({257, 3}, {{0, kModelAxes}}, mesh);
        }) ==
        "dsr: shard: dimension 0: 257 % (row·col) = 257 % 2 = 1, allowed 0; nearest 256 or 258");
  CHECK(test::text_of<InvalidArgument>([&] {
          Shard({4, 1}, {{1, Axis::row}}, mesh);
        }) == "dsr: shard: dimension 1: 1 % row = 1 % 2 = 1, allowed 0; nearest 2");
}

TEST_CASE("a shard that makes no sense is refused") {
  MeshShape const mesh{.row = 2, .col = 2};
  CHECK_THROWS_AS(Shard({4, 4}, {{0, Axis::row}, {0, Axis::col}}, mesh), InvalidArgument);
  CHECK_THROWS_AS(Shard({4, 4}, {{0, Axis::row}, {1, kModelAxes}}, mesh), InvalidArgument);
  CHECK_THROWS_AS(Shard({4, 4}, {{2, Axis::row}}, mesh), InvalidArgument);
  CHECK_THROWS_AS(Shard({4, 4}, {{-1, Axis::row}}, mesh), InvalidArgument);
  CHECK_THROWS_AS(Shard({4, 4}, {}, MeshShape{.row = 0}), InvalidArgument);
}

TEST_CASE("shards compare by what they say") {
  MeshShape const mesh{.row = 2};
  CHECK(Shard{{4}, {{0, Axis::row}}, mesh} == Shard{{4}, {{0, Axis::row}}, mesh});
  CHECK_FALSE(Shard{{4}, {{0, Axis::row}}, mesh} == Shard{{4}, {}, mesh});
}
