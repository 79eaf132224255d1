// SPDX-License-Identifier: Apache-2.0
#include "dsr/layout/reshard.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "dsr/core/error.hpp"
#include "layout/shapes.hpp"
#include "support/catch.hpp"

using namespace dsr;

namespace {

/// Every rank's local storage of a matrix; -1 where nothing is stored.
using Storage = std::vector<std::vector<Size>>;

Storage empty_storage(Shard const& shard) {
  return Storage(static_cast<std::size_t>(shard.mesh().ranks()),
                 std::vector<Size>(static_cast<std::size_t>(shard.local_shape().elements()), -1));
}

template <class Visit>
void for_each_element(Box const& box, Visit visit) {
  for (Size i = box.begin[0]; i < box.begin[0] + box.count[0]; ++i) {
    for (Size j = box.begin[1]; j < box.begin[1] + box.count[1]; ++j) visit(Shape{i, j});
  }
}

/// Each rank holds the flat global index of each of its elements.
Storage numbered(Shard const& shard) {
  Storage storage = empty_storage(shard);
  for (int rank = 0; rank < shard.mesh().ranks(); ++rank) {
    Box const box = shard.box(place_of(shard.mesh(), rank));
    Size const width = shard.local_shape()[1];
    for_each_element(box, [&](Shape const& index) {
      Size const local = (index[0] - box.begin[0]) * width + index[1] - box.begin[1];
      storage[static_cast<std::size_t>(rank)][static_cast<std::size_t>(local)] =
          index[0] * shard.global()[1] + index[1];
    });
  }
  return storage;
}

/// Carries a plan out; a target element that is written twice becomes -2.
Storage carry_out(std::vector<Move> const& plan, Shard const& source, Shard const& target) {
  Storage const from = numbered(source);
  Storage to = empty_storage(target);
  for (Move const& move : plan) {
    Box const held = source.box(place_of(source.mesh(), move.from));
    Box const wanted = target.box(place_of(target.mesh(), move.to));
    for_each_element(move.box, [&](Shape const& index) {
      Size const value = from[static_cast<std::size_t>(move.from)]
                             [static_cast<std::size_t>(local_offset(source, held, index))];
      Size& cell = to[static_cast<std::size_t>(move.to)]
                     [static_cast<std::size_t>(local_offset(target, wanted, index))];
      cell = cell == -1 ? value : -2;
    });
  }
  return to;
}

}  // namespace

TEST_CASE("a plan carried out gives every rank what it holds, between all pairs of meshes") {
  for (Shape const& global : {Shape{7, 11}, Shape{2, 3}}) {
    for (MeshShape const& saved : test::mesh_shapes()) {
      for (MeshShape const& wanted : test::mesh_shapes()) {
        for (auto const& saved_cuts : test::matrix_cuts()) {
          // Rotated, so that each pair of meshes meets different kinds of cuts.
          auto const all = test::matrix_cuts();
          auto const& wanted_cuts =
              all[(saved_cuts.size() + static_cast<std::size_t>(wanted.ranks())) % all.size()];
          Shard const source{global, saved_cuts, saved}, target{global, wanted_cuts, wanted};
          auto const plan = reshard(source, target);
          INFO(to_string(saved) << " to " << to_string(wanted));
          REQUIRE(carry_out(plan, source, target) == numbered(target));
          REQUIRE(std::is_sorted(plan.begin(), plan.end(), [](Move const& a, Move const& b) {
            return std::pair{a.to, a.from} < std::pair{b.to, b.from};
          }));
        }
      }
    }
  }
}

TEST_CASE("the lowest rank that holds a box sends it") {
  for (MeshShape const& mesh : test::mesh_shapes()) {
    for (auto const& cuts : test::matrix_cuts()) {
      Shard const source{{7, 11}, cuts, mesh}, target{{7, 11}, {}, {}};
      for (Move const& move : reshard(source, target)) {
        Box const box = source.box(place_of(mesh, move.from));
        for (int rank = 0; rank < move.from; ++rank)
          REQUIRE_FALSE(source.box(place_of(mesh, rank)) == box);
      }
    }
  }
}

TEST_CASE("the same shard needs one whole box for each rank") {
  Shard const shard{{8, 6}, {{0, Axis::row}, {1, Axis::col}}, {.dp = 2, .row = 2, .col = 2}};
  auto const plan = reshard(shard, shard);
  REQUIRE(plan.size() == 8);
  for (Move const& move : plan) {
    CHECK(move.from == move.to % 4);
    CHECK(move.box == shard.box(place_of(shard.mesh(), move.to)));
  }
}

TEST_CASE("tensors without dimensions are moved too") {
  Shard const source{{}, {}, {.dp = 2}}, target{{}, {}, {.row = 3}};
  auto const plan = reshard(source, target);
  REQUIRE(plan.size() == 3);
  CHECK(plan[2].from == 0);
  CHECK(plan[2].box.elements() == 1);
}

TEST_CASE("what does not fit is refused") {
  Shard const shard{{8, 6}, {{0, Axis::row}}, {.row = 2}};
  CHECK_THROWS_AS(reshard(shard, Shard({6, 8}, {}, {})), InvalidArgument);
  Box const held = shard.box(place_of(shard.mesh(), 1));
  CHECK(local_offset(shard, held, {4, 0}) == 0);
  CHECK(local_offset(shard, held, {6, 5}) == 17);
  CHECK_THROWS_AS(local_offset(shard, held, {3, 0}), InvalidArgument);
  CHECK_THROWS_AS(local_offset(shard, held, {4, 6}), InvalidArgument);
}
