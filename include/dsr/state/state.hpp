// SPDX-License-Identifier: Apache-2.0
#pragma once
/// State: the named, sharded things that a run saves and loads, and short texts beside them.
///
///     optimizer.visit_state(state);                            // weights, moments, step
///     state.add("ema/weight", shard, tensor);                  // a whole local block
///     state.add("data/cursor", [&] { return loader.save(); },
///               [&](std::string const& text) { loader.load(text); });
///
/// What of it each rank stores, as boxes of global tensors, is in pieces.hpp.
#include <set>
#include <span>
#include <string>
#include <vector>

#include "dsr/core/tensor.hpp"
#include "dsr/layout/shard.hpp"
#include "dsr/state/deal.hpp"
#include "dsr/state/visitor.hpp"

namespace dsr {

struct TensorEntry {
  std::string name;
  Shard shard;
  Deal deal;       ///< who of the ranks with copies of the block stores which of its elements
  FlatRange held;  ///< the part of the local block that is in this rank's memory
  Tensor local;    ///< its elements, contiguous
};
struct TextEntry {
  std::string name;
  SaveText save;
  LoadText load;
};

/// A list of views; whoever adds must outlive it.
class State {
 public:
  /// A whole local block; ranks with copies of it store equal parts. Throws InvalidArgument if the
  /// name is taken or the tensor is not contiguous and shaped shard.local_shape().
  void add(std::string name, Shard shard, Tensor local);
  /// A part of a local block, `held`, one-dimensional in `local`. Throws InvalidArgument if the
  /// name is taken, an axis of the deal cuts the tensor, `held` is not a part of the block, or
  /// `local` is not contiguous or has another number of elements.
  void add_part(std::string name, Shard shard, Deal deal, FlatRange held, Tensor local);
  /// Throws InvalidArgument if the name is taken.
  void add(std::string name, SaveText save, LoadText load);
  std::span<TensorEntry const> tensors() const { return tensors_; }
  std::span<TextEntry const> texts() const { return texts_; }

 private:
  void require_new(std::string const& name);
  std::vector<TensorEntry> tensors_;
  std::vector<TextEntry> texts_;
  std::set<std::string> names_;
};

}  // namespace dsr
