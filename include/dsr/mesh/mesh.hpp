// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Mesh names ranks: axes and products of axes → Communicators, all made in the constructor.
///
///     dsr::Mesh mesh{runtime, {.dp = 4, .row = 2}};
///     mesh[Axis::row];  mesh.over(Axis::dp | Axis::row);  mesh.place()[Axis::dp];
///
/// The meta mesh needs no MPI: it has any shape and any rank, and its Communicators only count.
#include <array>

#include "dsr/comm/communicator.hpp"
#include "dsr/comm/runtime.hpp"
#include "dsr/layout/mesh_shape.hpp"

namespace dsr {

/// Throws InvalidArgument (an equation, and the nearest shapes that fit) unless a shape has `ranks`
/// ranks.
void require_ranks(MeshShape const& shape, int ranks);

/// Does not copy; moves. Must not outlive the Runtime or group it was made from.
class Mesh {
 public:
  /// Collective over the world. Throws InvalidArgument (an equation, and the nearest shapes that
  /// fit) on every rank, before communication, if the shape's ranks are not the world's size.
  Mesh(Runtime& runtime, MeshShape shape);
  /// The same over any group.
  Mesh(Communicator const& parent, MeshShape shape);
  /// A meta mesh, seen from one rank.
  explicit Mesh(MeshShape shape, int rank = 0);
  Mesh(Mesh&&) noexcept = default;
  Mesh& operator=(Mesh&&) noexcept = default;
  Mesh(Mesh const&) = delete;
  Mesh& operator=(Mesh const&) = delete;

  MeshShape const& shape() const { return shape_; }
  int rank() const { return rank_; }
  Place const& place() const { return place_; }
  Device device() const;
  int size(AxisSet axes) const { return shape_.size(axes); }
  /// This rank's number inside a product of axes.
  int place_in(AxisSet axes) const { return dsr::place_in(shape_, place_, axes); }

  Communicator& operator[](Axis axis) const { return over(axis); }
  /// The group of ranks that differ from this one only in `axes`, numbered as place_in does. Throws
  /// InvalidArgument for the empty set.
  Communicator& over(AxisSet axes) const;

  /// A meta mesh of the same shape, seen from the same rank.
  Mesh as_meta() const { return Mesh{shape_, rank_}; }

 private:
  MeshShape shape_;
  int rank_ = 0;
  Place place_;
  mutable std::array<Communicator, 1U << kAxes> groups_{};
};

}  // namespace dsr
