// SPDX-License-Identifier: Apache-2.0
#include "dsr/train/fragment_policy.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "dsr/core/error.hpp"
#include "dsr/core/text.hpp"
#include "dsr/observe/format.hpp"

namespace dsr {

FragmentPolicy parse_fragment_policy(std::string_view text) {
  constexpr std::array<std::string_view, 3> kNames{"off", "auto", "always"};
  auto const found = std::ranges::find(kNames, text);
  if (found == kNames.end()) {
    throw InvalidArgument(
        problem("checkpoint.fragments", text, "off, auto or always", nearest_name(text, kNames)));
  }
  return static_cast<FragmentPolicy>(found - kNames.begin());
}

FragmentDecision decide(FragmentCosts const& costs) {
  double const best = std::sqrt(2 * costs.copy_s * costs.mttf_s);
  double const interval = std::max(best, costs.write_s);
  return {.worth_it = interval <= costs.step_s,
          .interval_s = interval,
          .saved_s = std::min(costs.step_s, costs.step_s * costs.step_s / (2 * costs.mttf_s))};
}

std::string to_string(FragmentCosts const& costs) {
  FragmentDecision const decision = decide(costs);
  std::string const written =
      costs.write_s > 0 ? " (written in " + format_duration(costs.write_s) + ")" : "";
  return "a fragment costs " + format_duration(costs.copy_s) + written + " and would save " +
         format_duration(decision.saved_s) + " of a step (" + format_duration(costs.step_s) +
         ") at an MTTF of " + format_duration(costs.mttf_s) + "; the best interval is " +
         format_duration(decision.interval_s);
}

}  // namespace dsr
