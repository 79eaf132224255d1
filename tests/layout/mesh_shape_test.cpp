// SPDX-License-Identifier: Apache-2.0
#include "dsr/layout/mesh_shape.hpp"

#include "dsr/core/error.hpp"
#include "support/catch.hpp"
#include "support/text_of.hpp"

using namespace dsr;

TEST_CASE("ranks are dealt to col first, then row, then dp") {
  MeshShape const shape{.dp = 2, .row = 3, .col = 2};
  CHECK(shape.ranks() == 12);
  for (int dp = 0; dp < 2; ++dp) {
    for (int row = 0; row < 3; ++row) {
      for (int col = 0; col < 2; ++col) {
        Place const place{{dp, 0, row, col}};
        CHECK(rank_of(shape, place) == (dp * 3 + row) * 2 + col);
        CHECK(place_of(shape, (dp * 3 + row) * 2 + col) == place);
      }
    }
  }
}

TEST_CASE("an order of the user's is outermost first, and axes left out go outermost") {
  MeshShape const shape{.dp = 2, .row = 3, .col = 2, .order = {Axis::row, Axis::dp, Axis::col}};
  CHECK(shape.full_order() == std::array{Axis::pp, Axis::row, Axis::dp, Axis::col});
  CHECK(rank_of(shape, {{1, 0, 2, 1}}) == (2 * 2 + 1) * 2 + 1);

  MeshShape const partial{.dp = 2, .row = 3, .col = 2, .order = {Axis::dp}};
  CHECK(partial.full_order() == std::array{Axis::pp, Axis::row, Axis::col, Axis::dp});
  CHECK(rank_of(partial, {{1, 0, 2, 1}}) == (2 * 2 + 1) * 2 + 1);
  CHECK(rank_of(partial, {{1, 0, 0, 0}}) == 1);
}

TEST_CASE("place_of and rank_of are inverse on every shape and order") {
  std::array<std::vector<Axis>, 5> const orders{{{},
                                                 {Axis::col, Axis::row, Axis::dp},
                                                 {Axis::row, Axis::col},
                                                 {Axis::dp, Axis::col, Axis::pp, Axis::row},
                                                 {Axis::col}}};
  for (auto const& order : orders) {
    for (int dp : {1, 2, 3}) {
      for (int row : {1, 2, 3}) {
        for (int col : {1, 4}) {
          MeshShape const shape{.dp = dp, .row = row, .col = col, .order = order};
          for (int rank = 0; rank < shape.ranks(); ++rank)
            REQUIRE(rank_of(shape, place_of(shape, rank)) == rank);
        }
      }
    }
  }
}

TEST_CASE("a product of axes numbers its ranks in the usual order, whatever the mesh's order is") {
  MeshShape const shape{.dp = 2, .row = 3, .col = 2, .order = {Axis::col, Axis::row, Axis::dp}};
  Place const place{{1, 0, 2, 1}};
  CHECK(place_in(shape, place, Axis::row) == 2);
  CHECK(place_in(shape, place, Axis::row | Axis::col) == 2 * 2 + 1);
  CHECK(place_in(shape, place, Axis::dp | Axis::row) == 1 * 3 + 2);
  CHECK(place_in(shape, place, kWorld) == (1 * 3 + 2) * 2 + 1);
  CHECK(place_in(shape, place, AxisSet{}) == 0);
}

TEST_CASE("sizes of products") {
  MeshShape const shape{.dp = 2, .row = 3, .col = 5};
  CHECK(shape.size(Axis::row) == 3);
  CHECK(shape.size(Axis::pp) == 1);
  CHECK(shape.size(Axis::dp | Axis::col) == 10);
  CHECK(shape.size(AxisSet{}) == 1);
}

TEST_CASE("a mesh shape that cannot be is refused") {
  CHECK_NOTHROW((MeshShape{.dp = 3, .row = 2, .order = {Axis::col, Axis::row}}.validate()));
  CHECK(test::text_of<InvalidArgument>([] { MeshShape{.row = 0}.validate(); }) ==
        "dsr: mesh.row: 0, allowed >= 1; nearest 1");
  CHECK_THROWS_AS((MeshShape{.dp = -2, .col = -2}.validate()), InvalidArgument);
  CHECK_THROWS_AS((MeshShape{.pp = 2}.validate()), InvalidArgument);
  CHECK_THROWS_AS((MeshShape{.order = {Axis::row, Axis::col, Axis::row}}.validate()),
                  InvalidArgument);
  CHECK_THROWS_AS((MeshShape{.dp = 65536, .row = 65536}.validate()), InvalidArgument);
  CHECK_THROWS_AS(place_of({.dp = 2}, 2), InvalidArgument);
  CHECK_THROWS_AS(place_of({.dp = 2}, -1), InvalidArgument);
}

TEST_CASE("shapes and places print") {
  CHECK(to_string(MeshShape{.dp = 2, .row = 2}) == "dp=2 row=2 col=1");
  CHECK(to_string(MeshShape{.pp = 3}) == "dp=1 pp=3 row=1 col=1");
  CHECK(to_string(Place{{1, 0, 2, 0}}) == "dp 1, row 2, col 0");
}
