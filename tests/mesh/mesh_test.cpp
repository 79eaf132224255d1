// SPDX-License-Identifier: Apache-2.0
#include "dsr/mesh/mesh.hpp"

#include <utility>

#include "dsr/core/error.hpp"
#include "support/catch.hpp"
#include "support/text_of.hpp"

using namespace dsr;

namespace {

std::string refusal(MeshShape const& shape, int ranks) {
  Communicator const parent = Communicator::meta("world", 0, ranks);
  return test::text_of<InvalidArgument>([&] { Mesh{parent, shape}; });
}

}  // namespace

TEST_CASE("a meta mesh shows any rank of any shape without MPI") {
  Mesh const mesh{{.dp = 128, .row = 3, .col = 5}, 1234};
  CHECK(mesh.rank() == 1234);
  CHECK(mesh.device() == kMeta);
  CHECK(mesh.place() == place_of(mesh.shape(), 1234));
  CHECK(mesh.size(kModelAxes) == 15);
  CHECK(mesh.place_in(kModelAxes) == 1234 % 15);
  CHECK(mesh[Axis::dp].size() == 128);
  CHECK(mesh[Axis::dp].rank() == 1234 / 15);
  CHECK(mesh.over(kModelAxes).rank() == 1234 % 15);
  CHECK(mesh.over(kWorld).size() == 128 * 15);
}

TEST_CASE("groups are named by their axes") {
  Mesh const mesh{MeshShape{.dp = 2, .row = 2}};
  CHECK(mesh[Axis::row].name() == "row");
  CHECK(mesh.over(kModelAxes).name() == "row×col");
  CHECK(mesh.over(kWorld).name() == "world");
  CHECK_THROWS_AS(mesh.over(AxisSet{}), InvalidArgument);
}

TEST_CASE("groups of different axes count apart, and handles of one group together") {
  Mesh const mesh{MeshShape{.dp = 2, .row = 2}};
  Communicator const handle = mesh[Axis::row];
  CHECK(&mesh[Axis::row].state() == &handle.state());
  CHECK(&mesh[Axis::row].state() != &mesh.over(kModelAxes).state());
}

TEST_CASE("a meta twin has the same shape and rank, and groups of its own") {
  Mesh mesh{{.dp = 2, .row = 3}, 4};
  Mesh const twin = mesh.as_meta();
  CHECK(twin.shape() == mesh.shape());
  CHECK(twin.rank() == 4);
  CHECK(&twin[Axis::row].state() != &mesh[Axis::row].state());
  Mesh const moved{std::move(mesh)};
  CHECK(moved[Axis::row].size() == 3);
}

TEST_CASE("a shape that does not fill the world is refused with the nearest that do") {
  CHECK(refusal({.dp = 2, .row = 2}, 6) ==
        "dsr: mesh: dp·row·col = 2·2·1 = 4 ≠ 6 ranks, allowed 6; nearest dp=3 row=2 col=1, or dp=2 "
        "row=3 col=1");
  CHECK(refusal({.dp = 5, .row = 4, .col = 3}, 7) ==
        "dsr: mesh: dp·row·col = 5·4·3 = 60 ≠ 7 ranks, allowed 7; nearest dp=7 row=1 col=1");
  CHECK(test::contains(refusal({}, 4),
                       "nearest dp=4 row=1 col=1, or dp=1 row=4 col=1, or dp=1 row=1 col=4"));
}

TEST_CASE("a shape that cannot be is refused on both kinds of mesh") {
  CHECK(test::contains(refusal({.row = 0}, 4), "mesh.row"));
  CHECK_THROWS_AS(Mesh(MeshShape{.row = 0}), InvalidArgument);
  CHECK_THROWS_AS(Mesh(MeshShape{.row = 2}, 2), InvalidArgument);
}
