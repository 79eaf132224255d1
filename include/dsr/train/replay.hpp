// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Replay: forward and backward of a micro-batch from a captured graph, where one launch may stand
/// for all of them.
///
///     Replay replay;
///     replay.run(pass, [&] { model.forward(pass, {}, {});  model.backward(pass, {}, {}); });
#include <cstdint>
#include <vector>

#include "dsr/core/graph.hpp"
#include "dsr/nn/pass.hpp"

namespace dsr {

/// Moves.
class Replay {
 public:
  /// Whether a pass's work is the same from one micro-batch to the next: on CUDA, on one rank (no
  /// collective takes part), and without dropout, whose masks depend on the step.
  static bool possible(Pass const& pass);

  /// Runs `work`, which must enqueue the same for every batch of one shape, on pass.stream(). The
  /// first time for a shape it runs as it is (the libraries choose algorithms, memory grows), the
  /// second time it is captured; from then on the graph runs and `work` does not.
  void run(Pass& pass, std::function<void()> const& work);
  bool captured() const { return graph_.captured(); }

 private:
  /// What a graph has in it besides the pass's own memory: the batch's address and its sequences.
  struct Key {
    void const* tokens = nullptr;
    std::vector<std::int32_t> starts;
    bool operator==(Key const&) const = default;
  };
  Key key_;
  Graph graph_;
};

}  // namespace dsr
