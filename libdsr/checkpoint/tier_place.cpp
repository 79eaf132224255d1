// SPDX-License-Identifier: Apache-2.0
#include "libdsr/checkpoint/tier_place.hpp"

namespace dsr::detail {

std::vector<TierPlace> places_of(CheckpointOptions const& options) {
  std::vector<TierPlace> places;
  auto const add = [&](Tier tier, std::string directory, int keep) {
    places.push_back({tier, std::move(directory), keep});
  };
  std::string const run = options.run_id.empty() ? "run" : options.run_id;
  if (!options.hot.directory.empty())
    add(Tier::hot, options.hot.directory + "/" + run, options.hot.keep);
  if (!options.warm.directory.empty()) add(Tier::warm, options.warm.directory, options.warm.keep);
  if (!options.cold.directory.empty()) add(Tier::cold, options.cold.directory, options.cold.keep);
  return places;
}

}  // namespace dsr::detail
