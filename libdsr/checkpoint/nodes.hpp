// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Nodes: which ranks of a job share a disk of their own, who acts for them there, and which rank
/// of another node keeps a second copy of a rank's file.
///
///     Nodes const nodes{runtime, {}};
///     if (nodes.leads(rank)) make_directories(files, "/local/nvme/run");
#include <optional>
#include <vector>

#include "dsr/comm/runtime.hpp"

namespace dsr::detail {

/// Copies; the same on all ranks. Nodes are numbered by their lowest ranks.
class Nodes {
 public:
  /// `node` is this rank's, any number; without it, ranks that share memory are a node. Collective.
  Nodes(Runtime const& runtime, std::optional<int> node);

  int count() const { return static_cast<int>(ranks_.size()); }
  int of(int rank) const { return node_of_[static_cast<std::size_t>(rank)]; }
  /// Ascending.
  std::vector<int> const& ranks(int node) const { return ranks_[static_cast<std::size_t>(node)]; }
  int leader(int node) const { return ranks(node).front(); }
  bool leads(int rank) const { return leader(of(rank)) == rank; }
  /// A rank's number among those of its node.
  int place(int rank) const;

  /// The rank of the next node with the same place there, in turn where there are fewer; −1 if all
  /// ranks are on one node.
  int partner(int rank) const;
  /// Transfers from one node to the next go by phases, so that no node sends and receives in the
  /// same one: even nodes, odd nodes, and the last one if there is an odd number.
  int phase(int node) const { return count() % 2 == 1 && node == count() - 1 ? 2 : node % 2; }
  static constexpr int kPhases = 3;

 private:
  std::vector<int> node_of_;
  std::vector<std::vector<int>> ranks_;
};

}  // namespace dsr::detail
