// SPDX-License-Identifier: Apache-2.0
#include "dsr/layout/mesh_shape.hpp"

#include <limits>

#include "dsr/core/error.hpp"

namespace dsr {
namespace {

void require_sizes(MeshShape const& shape) {
  Size ranks = 1;
  for (Axis axis : kAllAxes) {
    int const size = shape.size(axis);
    if (size < 1) {
      throw InvalidArgument(
          problem("mesh." + std::string{name_of(axis)}, std::to_string(size), ">= 1", "1"));
    }
    ranks *= size;
    if (ranks > std::numeric_limits<int>::max()) {
      throw InvalidArgument(problem("mesh", to_string(shape) + " has more ranks than an int counts",
                                    "up to " + std::to_string(std::numeric_limits<int>::max())));
    }
  }
}

}  // namespace

int MeshShape::size(Axis axis) const {
  switch (axis) {
    case Axis::dp: return dp;
    case Axis::pp: return pp;
    case Axis::row: return row;
    case Axis::col: return col;
  }
  return 1;
}

int MeshShape::size(AxisSet axes) const {
  int product = 1;
  for (Axis axis : kAllAxes) {
    if (axes.has(axis)) product *= size(axis);
  }
  return product;
}

std::array<Axis, kAxes> MeshShape::full_order() const {
  AxisSet given;
  for (Axis axis : order) given = given | axis;
  std::array<Axis, kAxes> full{};
  std::size_t next = 0;
  for (Axis axis : kAllAxes) {
    if (!given.has(axis)) full[next++] = axis;
  }
  for (Axis axis : order) {
    if (next < full.size()) full[next++] = axis;
  }
  return full;
}

void MeshShape::validate() const {
  require_sizes(*this);
  if (pp != 1) {
    throw InvalidArgument(problem(
        "mesh.pp", std::to_string(pp) + " (pipeline stages do not exist yet)", "1", "pp = 1"));
  }
  AxisSet seen;
  for (Axis axis : order) {
    if (seen.has(axis)) {
      throw InvalidArgument(
          problem("mesh.order", std::string{name_of(axis)} + " stands twice", "each axis once"));
    }
    seen = seen | axis;
  }
}

Place place_of(MeshShape const& shape, int rank) {
  if (rank < 0 || rank >= shape.ranks()) {
    throw InvalidArgument(problem("mesh " + to_string(shape), "rank " + std::to_string(rank),
                                  "0 to " + std::to_string(shape.ranks() - 1)));
  }
  Place place;
  auto const order = shape.full_order();
  for (auto axis = order.rbegin(); axis != order.rend(); ++axis) {
    int const size = shape.size(*axis);
    place.index[static_cast<std::size_t>(*axis)] = rank % size;
    rank /= size;
  }
  return place;
}

int rank_of(MeshShape const& shape, Place const& place) {
  int rank = 0;
  for (Axis axis : shape.full_order()) rank = rank * shape.size(axis) + place[axis];
  return rank;
}

int place_in(MeshShape const& shape, Place const& place, AxisSet axes) {
  int number = 0;
  for (Axis axis : kAllAxes) {
    if (axes.has(axis)) number = number * shape.size(axis) + place[axis];
  }
  return number;
}

std::string to_string(MeshShape const& shape) {
  std::string text = "dp=" + std::to_string(shape.dp);
  if (shape.pp != 1) text += " pp=" + std::to_string(shape.pp);
  return text + " row=" + std::to_string(shape.row) + " col=" + std::to_string(shape.col);
}

std::string to_string(Place const& place) {
  std::string text = "dp " + std::to_string(place[Axis::dp]);
  if (place[Axis::pp] != 0) text += ", pp " + std::to_string(place[Axis::pp]);
  return text + ", row " + std::to_string(place[Axis::row]) + ", col " +
         std::to_string(place[Axis::col]);
}

}  // namespace dsr
