// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Shard says who holds what: a global tensor, which of its dimensions are cut over which axes, on
/// one mesh shape.
///
///     Shard weight{{F, H}, {{0, Axis::row}, {1, Axis::col}}, shape};    // → [F/R, H/C]
///     Shard table{{V, H}, {{0, kModelAxes, Remainder::pad}}, shape};    // → [ceil(V/(R·C)), H]
///     weight.local_shape();  weight.box(place_of(shape, rank));
///
/// Every shard is one contiguous range in each dimension. Padding is storage only: boxes never
/// reach into it.
#include <cstdint>
#include <vector>

#include "dsr/layout/box.hpp"
#include "dsr/layout/mesh_shape.hpp"

namespace dsr {

/// What happens when a size is not divisible: an error, or storage padded at the end of the last
/// parts.
enum class Remainder : std::uint8_t { refuse, pad };

/// Dimension `dim` is dealt in equal parts to the ranks of a product of axes.
struct Cut {
  int dim = 0;
  AxisSet axes;
  Remainder remainder = Remainder::refuse;
  bool operator==(Cut const&) const = default;
};

/// A value type.
class Shard {
 public:
  Shard() = default;
  /// Throws InvalidArgument (an equation with the numbers) if a size is not divisible and may not
  /// be padded, a dimension is cut twice or does not exist, an axis cuts two dimensions, or the
  /// mesh is not valid.
  Shard(Shape global, std::vector<Cut> cuts, MeshShape mesh);

  Shape const& global() const { return global_; }
  std::vector<Cut> const& cuts() const { return cuts_; }
  MeshShape const& mesh() const { return mesh_; }
  /// Storage of one rank, padding included: the same on all ranks.
  Shape local_shape() const;
  /// The part of the global tensor that a place holds; empty if only padding falls to it.
  Box box(Place const& place) const;
  /// Axes that cut some dimension. Over the other axes the tensor is replicated.
  AxisSet cut_over() const;
  bool operator==(Shard const&) const = default;

 private:
  Shape global_;
  std::vector<Cut> cuts_;
  MeshShape mesh_;
};

}  // namespace dsr
