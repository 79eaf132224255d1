// SPDX-License-Identifier: Apache-2.0
#pragma once
/// MeshShape: the sizes of the axes and the order in which ranks are dealt to them. Pure numbers.
///
///     MeshShape shape{.dp = 4, .row = 2};
///     shape.ranks() == 8;
///     Place p = place_of(shape, 5);                   // dp 2, row 1
///     place_in(shape, p, Axis::row | Axis::col);      // rank inside the product
#include <array>
#include <string>
#include <vector>

#include "dsr/core/shape.hpp"
#include "dsr/layout/axis.hpp"

namespace dsr {

/// rank = ((dp·PP + pp)·ROW + row)·COL + col, unless `order` (outermost first; axes left out have
/// size 1 or go outermost in the usual order) says otherwise.
struct MeshShape {
  int dp = 1, pp = 1, row = 1, col = 1;
  std::vector<Axis> order = {};

  int size(Axis axis) const;
  /// Product of the sizes of the axes; 1 for none.
  int size(AxisSet axes) const;
  /// All ranks of the mesh.
  int ranks() const { return size(kWorld); }
  /// All axes, outermost first.
  std::array<Axis, kAxes> full_order() const;
  /// Throws InvalidArgument if a size is below 1, pp is not 1, an axis stands twice in `order`, or
  /// the ranks are more than an int counts.
  void validate() const;
  bool operator==(MeshShape const&) const = default;
};

/// A rank's index on every axis.
struct Place {
  std::array<int, kAxes> index{};
  int operator[](Axis axis) const { return index[static_cast<std::size_t>(axis)]; }
  bool operator==(Place const&) const = default;
};

/// Where a rank of the world stands. Throws InvalidArgument outside [0, ranks).
Place place_of(MeshShape const& shape, int rank);
/// The inverse of place_of.
int rank_of(MeshShape const& shape, Place const& place);
/// A place's number inside a product of axes: dp outermost, then pp, row, col, whatever `order` is.
int place_in(MeshShape const& shape, Place const& place, AxisSet axes);

/// "dp=2 row=2 col=1" (pp only if it is not 1).
std::string to_string(MeshShape const& shape);
/// "dp 1, row 0, col 0".
std::string to_string(Place const& place);

}  // namespace dsr
