// SPDX-License-Identifier: Apache-2.0
#pragma once
/// State: the named, sharded things that a run saves and loads, and short texts beside them.
///
///     state.add("optimizer/m/blocks/0/…", shard, tensor);
///     state.add("data/cursor", [&] { return loader.save(); },
///               [&](std::string const& text) { loader.load(text); });
#include <span>
#include <string>
#include <vector>

#include "dsr/core/tensor.hpp"
#include "dsr/layout/shard.hpp"
#include "dsr/state/visitor.hpp"

namespace dsr {

struct TensorEntry {
  std::string name;
  Shard shard;
  Tensor local;
};
struct TextEntry {
  std::string name;
  SaveText save;
  LoadText load;
};

/// A list of views; whoever adds must outlive it.
class State {
 public:
  /// Throws InvalidArgument if the name is taken or the tensor is not shaped shard.local_shape().
  void add(std::string name, Shard shard, Tensor local);
  void add(std::string name, SaveText save, LoadText load);
  std::span<TensorEntry const> tensors() const { return tensors_; }
  std::span<TextEntry const> texts() const { return texts_; }

 private:
  void require_new(std::string const& name) const;
  std::vector<TensorEntry> tensors_;
  std::vector<TextEntry> texts_;
};

}  // namespace dsr
