// SPDX-License-Identifier: Apache-2.0
#pragma once
/// StatePlan: which stored tensors a rank's state comes from. Everything is looked up before
/// anything is read or changed.
///
///     StatePlan const plan{manifest, "warm/step_000001200.g002", state, mesh};
///     if (plan.fresh()) say("imported weights");
#include <string>
#include <vector>

#include "dsr/checkpoint/manifest.hpp"
#include "dsr/mesh/mesh.hpp"
#include "dsr/state/pieces.hpp"

namespace dsr::detail {

/// Moves and copies. The manifest and the state's tensors outlive it.
class StatePlan {
 public:
  /// A set of step 0 that has all tensors below "model/", none of the others and no text is a fresh
  /// start from these weights. `set` is for messages. Throws InvalidArgument if another tensor or
  /// text is missing, or a tensor has another shape or type.
  StatePlan(Manifest const& manifest, std::string const& set, State const& state, Mesh const& mesh);

  /// Then texts stay as they are.
  bool fresh() const { return fresh_; }
  /// What is read, and where from.
  std::vector<StatePiece> const& pieces() const { return pieces_; }
  std::vector<StoredTensor const*> const& sources() const { return sources_; }
  /// What becomes zero.
  std::vector<StatePiece> const& zeros() const { return zeros_; }
  /// By file, then block: whether a slice that is read has bytes there.
  std::vector<std::vector<bool>> blocks() const;

 private:
  Manifest const* manifest_;
  bool fresh_ = false;
  std::vector<StatePiece> pieces_, zeros_;
  std::vector<StoredTensor const*> sources_;
};

}  // namespace dsr::detail
