// SPDX-License-Identifier: Apache-2.0
#include "dsr/mesh/mesh.hpp"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "dsr/core/error.hpp"

namespace dsr {
namespace {

/// Shapes for `ranks` ranks that keep all sizes of `shape` but one; if there is none, dp alone.
std::string nearest_shapes(MeshShape const& shape, int ranks) {
  std::vector<MeshShape> fits;
  auto keep_others = [&](int MeshShape::*size) {
    MeshShape changed = shape;
    changed.*size = 1;
    int const others = changed.ranks();
    if (ranks % others != 0) return;
    changed.*size = ranks / others;
    if (std::find(fits.begin(), fits.end(), changed) == fits.end()) fits.push_back(changed);
  };
  keep_others(&MeshShape::dp);
  keep_others(&MeshShape::row);
  keep_others(&MeshShape::col);
  if (fits.empty()) fits.push_back({.dp = ranks});
  std::string text;
  for (MeshShape const& fit : fits) text += (text.empty() ? "" : ", or ") + to_string(fit);
  return text;
}

}  // namespace

void require_ranks(MeshShape const& shape, int ranks) {
  shape.validate();
  if (shape.ranks() == ranks) return;
  std::string const sizes = std::to_string(shape.dp) + "·" + std::to_string(shape.row) + "·" +
                            std::to_string(shape.col) + " = " + std::to_string(shape.ranks());
  std::string const count = std::to_string(ranks);
  throw InvalidArgument(problem("mesh", "dp·row·col = " + sizes + " ≠ " + count + " ranks", count,
                                nearest_shapes(shape, ranks)));
}

Mesh::Mesh(Runtime& runtime, MeshShape shape) : Mesh(runtime.world(), std::move(shape)) {
  runtime.set_place(to_string(place_));
}

Mesh::Mesh(Communicator const& parent, MeshShape shape)
    : shape_(std::move(shape)), rank_(parent.rank()) {
  require_ranks(shape_, parent.size());
  place_ = place_of(shape_, rank_);
  for (AxisSet axes : all_products()) {
    groups_[axes.bits()] = parent.split(place_in(kWorld - axes), place_in(axes), to_string(axes));
  }
}

Mesh::Mesh(MeshShape shape, int rank) : shape_(std::move(shape)), rank_(rank) {
  shape_.validate();
  place_ = place_of(shape_, rank);
  for (AxisSet axes : all_products()) {
    groups_[axes.bits()] = Communicator::meta(to_string(axes), place_in(axes), size(axes));
  }
}

Device Mesh::device() const { return over(kWorld).device(); }

Communicator& Mesh::over(AxisSet axes) const {
  if (axes.empty()) {
    throw InvalidArgument(
        problem("mesh " + to_string(shape_), "group over no axis", "one axis or more"));
  }
  return groups_[axes.bits()];
}

}  // namespace dsr
