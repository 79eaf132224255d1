// SPDX-License-Identifier: Apache-2.0
#include "dsr/state/pieces.hpp"

#include <optional>
#include <utility>

#include "dsr/core/error.hpp"

namespace dsr {
namespace {

/// The block that holds all of a shape.
Box whole(Shape const& shape) {
  Box box{shape, shape};
  for (int dim = 0; dim < shape.rank(); ++dim) box.begin = box.begin.with(dim, 0);
  return box;
}

/// Cuts a box of a row-major block into the fewest that have no gaps in the block's memory.
void without_gaps(Shape const& block, Box const& box, int dim, std::vector<Box>& out) {
  int narrow = -1;  // the innermost dimension that the box does not fill
  for (int d = 0; d < block.rank(); ++d) {
    if (box.count[d] != block[d]) narrow = d;
  }
  while (dim < narrow && box.count[dim] == 1) ++dim;
  if (dim >= narrow) {
    out.push_back(box);
    return;
  }
  for (Size i = 0; i < box.count[dim]; ++i) {
    Box const one{box.begin.with(dim, box.begin[dim] + i), box.count.with(dim, 1)};
    without_gaps(block, one, dim + 1, out);
  }
}

Size flat_index(Shape const& block, Shape const& index) {
  Size flat = 0;
  for (int dim = 0; dim < block.rank(); ++dim) flat = flat * block[dim] + index[dim];
  return flat;
}

/// One tensor on one rank.
class Lister {
 public:
  Lister(TensorEntry const& entry, Mesh const& mesh, int rank)
      : entry_(entry), place_(place_of(mesh.shape(), rank)), block_(entry.shard.local_shape()) {
    if (entry.shard.mesh() != mesh.shape()) {
      throw InvalidArgument(problem("state \"" + entry.name + "\"",
                                    "sharded for mesh " + to_string(entry.shard.mesh()),
                                    to_string(mesh.shape())));
    }
  }

  /// Copies that are dealt over fewer axes than they are replicated over are dealt once more.
  FlatRange stored() const {
    MeshShape const& mesh = entry_.shard.mesh();
    Deal const& deal = entry_.deal;
    FlatRange const part = deal.whole.part(place_in(mesh, place_, deal.over), mesh.size(deal.over));
    AxisSet const rest = kWorld - entry_.shard.cut_over() - deal.over;
    FlatRange const all{0, block_.elements()};
    return all.common(part).part(place_in(mesh, place_, rest), mesh.size(rest));
  }

  /// `held`: what of the block is in memory; nullptr if that is another rank's.
  void list(FlatRange const& range, FlatRange const* held, std::vector<StatePiece>& pieces) const {
    Shard const& shard = entry_.shard;
    Box const mine = shard.box(place_);
    Box const no_padding{whole(mine.count).begin, mine.count};
    if (mine.empty()) return;
    for (Box const& box : boxes_of_range(block_, range.begin, range.end)) {
      std::optional<Box> const kept = intersect(box, no_padding);
      if (!kept) continue;
      std::vector<Box> parts;
      without_gaps(block_, *kept, 0, parts);
      for (Box const& part : parts) {
        StatePiece piece{entry_.name, shard.global(), entry_.local.dtype(), part, {}};
        for (int d = 0; d < block_.rank(); ++d)
          piece.box.begin = piece.box.begin.with(d, mine.begin[d] + part.begin[d]);
        if (held != nullptr) {
          Size const begin = flat_index(block_, part.begin) - held->begin;
          piece.local = entry_.local.slice(0, begin, begin + part.elements()).reshape(part.count);
        }
        pieces.push_back(std::move(piece));
      }
    }
  }

 private:
  TensorEntry const& entry_;
  Place place_;
  Shape block_;
};

}  // namespace

std::vector<StatePiece> stored_by(State const& state, Mesh const& mesh, int rank) {
  std::vector<StatePiece> pieces;
  for (TensorEntry const& entry : state.tensors()) {
    Lister const lister{entry, mesh, rank};
    lister.list(lister.stored(), nullptr, pieces);
  }
  return pieces;
}

std::vector<StatePiece> stored_by(State const& state, Mesh const& mesh) {
  std::vector<StatePiece> pieces;
  for (TensorEntry const& entry : state.tensors()) {
    Lister const lister{entry, mesh, mesh.rank()};
    FlatRange const stored = lister.stored();
    if (stored.elements() > 0 && stored.common(entry.held) != stored) {
      throw InvalidArgument(problem("state \"" + entry.name + "\"",
                                    to_string(entry.held) + " of the local block",
                                    to_string(stored) + ", which this rank stores, within it"));
    }
    lister.list(stored, &entry.held, pieces);
  }
  return pieces;
}

std::vector<StatePiece> wanted_by(State const& state, Mesh const& mesh) {
  std::vector<StatePiece> pieces;
  for (TensorEntry const& entry : state.tensors())
    Lister{entry, mesh, mesh.rank()}.list(entry.held, &entry.held, pieces);
  return pieces;
}

}  // namespace dsr
