// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Pieces: the state of all ranks as boxes of global tensors, which is what a mesh-independent file
/// holds. Which rank stores what is pure numbers: every rank knows it of every other.
///
///     for (StatePiece const& piece : stored_by(state, mesh)) write(piece.box, piece.local);
///     for (StatePiece const& piece : wanted_by(state, mesh)) read(piece.box, piece.local);
///
/// Nothing is copied and no padding is in any box. Pieces come in the order of State::tensors(),
/// those of one tensor by their place in the local block. A range of a local block is a few boxes,
/// at most 2k − 1 of k dimensions, unless a dimension behind the first is padded.
#include <string>
#include <vector>

#include "dsr/layout/box.hpp"
#include "dsr/mesh/mesh.hpp"
#include "dsr/state/state.hpp"

namespace dsr {

/// A part of a global tensor that lies in a rank's memory, contiguous and row-major.
struct StatePiece {
  std::string name;
  Shape global;
  DType dtype = DType::f32;
  Box box;       ///< in global indices
  Tensor local;  ///< shaped box.count; undefined if the memory is another rank's
};

/// What rank `rank` of the mesh stores. Over all ranks every element is stored exactly once: ranks
/// with copies of a block share it, whether each holds all of it (ZeRO stage 0) or its own part
/// (ZeRO-1). Throws InvalidArgument if there is no such rank, or a tensor's Shard is for another
/// mesh shape.
std::vector<StatePiece> stored_by(State const& state, Mesh const& mesh, int rank);
/// What this rank stores, with its memory. Throws InvalidArgument also if it does not hold what it
/// must store.
std::vector<StatePiece> stored_by(State const& state, Mesh const& mesh);
/// What this rank must get to go on from a saved state: all that it holds, copies included. Throws
/// InvalidArgument if a tensor's Shard is for another mesh shape.
std::vector<StatePiece> wanted_by(State const& state, Mesh const& mesh);

}  // namespace dsr
