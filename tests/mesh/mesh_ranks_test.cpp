// SPDX-License-Identifier: Apache-2.0
#include <vector>

#include "dsr/comm/collectives.hpp"
#include "dsr/core/error.hpp"
#include "dsr/mesh/mesh.hpp"
#include "support/catch.hpp"
#include "support/device.hpp"
#include "support/on_device.hpp"
#include "support/ranks.hpp"

using namespace dsr;

namespace {

/// Every shape whose sizes multiply to the number of ranks, in the usual order and in three others;
/// on CUDA in one other, since each mesh starts communicators there.
std::vector<MeshShape> shapes_that_fit(int ranks) {
  std::vector<MeshShape> shapes;
  std::vector<std::vector<Axis>> orders{{}, {Axis::col, Axis::row, Axis::dp}};
  if (!test::on_cuda()) {
    orders.push_back({Axis::row, Axis::dp, Axis::col});
    orders.push_back({Axis::dp});
  }
  for (int dp = 1; dp <= ranks; ++dp) {
    for (int row = 1; row <= ranks; ++row) {
      if (ranks % (dp * row) != 0) continue;
      MeshShape const shape{.dp = dp, .row = row, .col = ranks / (dp * row)};
      for (auto const& order : orders) {
        shapes.push_back(shape);
        shapes.back().order = order;
      }
    }
  }
  return shapes;
}

/// World ranks of a group, found by asking every rank of the world for its place.
std::vector<std::int32_t> expected_members(Mesh const& mesh, AxisSet axes) {
  std::vector<std::int32_t> members(static_cast<std::size_t>(mesh.size(axes)), -1);
  for (int rank = 0; rank < mesh.shape().ranks(); ++rank) {
    Place const place = place_of(mesh.shape(), rank);
    bool differs_elsewhere = false;
    int number = 0;
    for (Axis axis : {Axis::dp, Axis::row, Axis::col}) {
      if (axes.has(axis))
        number = number * mesh.shape().size(axis) + place[axis];
      else
        differs_elsewhere = differs_elsewhere || place[axis] != mesh.place()[axis];
    }
    if (!differs_elsewhere) members[static_cast<std::size_t>(number)] = rank;
  }
  return members;
}

void check_group(Mesh const& mesh, AxisSet axes, Stream& stream) {
  Communicator& group = mesh.over(axes);
  std::vector<std::int32_t> const expected = expected_members(mesh, axes);
  REQUIRE(group.size() == static_cast<int>(expected.size()));
  CHECK(group.rank() == mesh.place_in(axes));
  CHECK(group.name() == to_string(axes));

  test::OnDevice<std::int32_t> own{{mesh.rank()}, stream};
  test::OnDevice<std::int32_t> members{std::vector<std::int32_t>(expected.size()), stream};
  all_gather(own.tensor(), members.tensor(), group, stream);
  test::OnDevice<std::int64_t> sum{{mesh.rank() + 1}, stream};
  all_reduce(sum.tensor(), Reduce::sum, group, stream);
  std::int64_t expected_sum = 0;
  for (std::int32_t rank : expected) expected_sum += rank + 1;
  INFO(to_string(mesh.shape()) << " " << to_string(axes) << " rank " << mesh.rank());
  CHECK(members.read() == expected);
  CHECK(sum.read() == std::vector{expected_sum});
}

}  // namespace

TEST_CASE("each group holds exactly the ranks that differ in its axes, in order") {
  Runtime& runtime = test::runtime();
  Stream stream = runtime.communication_stream();
  for (MeshShape const& shape : shapes_that_fit(runtime.size())) {
    Mesh const mesh{runtime, shape};
    CHECK(mesh.rank() == runtime.rank());
    CHECK(mesh.device() == runtime.device());
    for (AxisSet axes : all_products()) check_group(mesh, axes, stream);
  }
}

TEST_CASE("a mesh can be made over a part of the world") {
  Runtime& runtime = test::runtime();
  int const half = runtime.rank() % 2;
  Communicator const part = runtime.world().split(half, runtime.rank(), "half");
  Mesh const mesh{part, {.row = part.size()}};
  Stream stream = runtime.communication_stream();
  for (AxisSet axes : all_products()) check_group(mesh, axes, stream);
}

TEST_CASE("a shape for another number of ranks is refused on every rank, and the world goes on") {
  Runtime& runtime = test::runtime();
  CHECK_THROWS_AS(Mesh(runtime, MeshShape{.dp = runtime.size() + 1}), InvalidArgument);
  CHECK(all_reduce_value(1, Reduce::sum, runtime.world()) == runtime.size());
}
