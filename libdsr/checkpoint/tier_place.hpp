// SPDX-License-Identifier: Apache-2.0
#pragma once
/// TierPlace: where the sets of a tier lie, as far as this rank sees.
#include <string>
#include <vector>

#include "dsr/checkpoint/checkpoint_options.hpp"
#include "dsr/checkpoint/sets.hpp"
#include "libdsr/checkpoint/nodes.hpp"

namespace dsr::detail {

struct TierPlace {
  Tier tier = Tier::warm;
  std::string directory;
  int keep = 0;  ///< 0: all
};

/// Those that are on, the fastest first.
std::vector<TierPlace> places_of(CheckpointOptions const& options);

/// Whether a rank acts for all that share the tier's disk: the first of each node for hot, rank 0
/// for the others.
inline bool acts_for(TierPlace const& place, Nodes const& nodes, int rank) {
  return place.tier == Tier::hot ? nodes.leads(rank) : rank == 0;
}

inline std::string set_directory(TierPlace const& place, SetName name) {
  return place.directory + "/" + to_string(name);
}

}  // namespace dsr::detail
