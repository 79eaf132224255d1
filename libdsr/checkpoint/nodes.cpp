// SPDX-License-Identifier: Apache-2.0
#include "libdsr/checkpoint/nodes.hpp"

#include <algorithm>
#include <map>
#include <string>

#include "dsr/comm/collectives.hpp"

namespace dsr::detail {

Nodes::Nodes(Runtime const& runtime, std::optional<int> node) {
  std::map<std::string, int> known;
  std::string const mine = std::to_string(node.value_or(runtime.node_leader()));
  for (std::string const& name : gather_texts(mine, runtime.world())) {
    auto const [entry, added] = known.emplace(name, count());
    if (added) ranks_.emplace_back();
    ranks_[static_cast<std::size_t>(entry->second)].push_back(static_cast<int>(node_of_.size()));
    node_of_.push_back(entry->second);
  }
}

int Nodes::place(int rank) const {
  std::vector<int> const& all = ranks(of(rank));
  return static_cast<int>(std::ranges::find(all, rank) - all.begin());
}

int Nodes::partner(int rank) const {
  if (count() == 1) return -1;
  std::vector<int> const& next = ranks((of(rank) + 1) % count());
  return next[static_cast<std::size_t>(place(rank)) % next.size()];
}

}  // namespace dsr::detail
