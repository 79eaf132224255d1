// SPDX-License-Identifier: Apache-2.0
#include "dsr/checkpoint/tier.hpp"

#include "dsr/checkpoint/checkpoint_options.hpp"
#include "dsr/checkpoint/manifest.hpp"
#include "dsr/core/error.hpp"

namespace dsr {
namespace {

void require_keep(Tier tier, int keep, bool all_allowed) {
  if (keep >= 2 || (all_allowed && keep == 0)) return;
  std::string const allowed = all_allowed ? "0 (all), 2 or more" : "2 or more";
  throw InvalidArgument(problem("checkpoint." + std::string{name_of(tier)} + ".keep",
                                std::to_string(keep), allowed, "2"));
}

}  // namespace

std::string_view name_of(Tier tier) {
  switch (tier) {
    case Tier::hot:
      return "hot";
    case Tier::warm:
      return "warm";
    case Tier::cold:
      break;
  }
  return "cold";
}

void CheckpointOptions::validate() const {
  if (hot.directory.empty() && warm.directory.empty() && cold.directory.empty())
    throw InvalidArgument(problem("checkpoint: tiers with a directory", "none", "at least one"));
  if (!hot.directory.empty()) require_keep(Tier::hot, hot.keep, false);
  if (!warm.directory.empty()) require_keep(Tier::warm, warm.keep, false);
  if (!cold.directory.empty()) require_keep(Tier::cold, cold.keep, true);
  staging.validate();
  if (!run_id.empty() && !plain_name(run_id)) {
    throw InvalidArgument(
        problem("checkpoint: run id", run_id, "letters, digits, '.', '_' and '-'"));
  }
}

}  // namespace dsr
