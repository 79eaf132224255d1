// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Whether gradient fragments are worth what they cost. Pure numbers.
///
///     FragmentCosts costs{.copy_s = 0.095, .write_s = 2, .step_s = 8.3, .mttf_s = 15120};
///     decide(costs).worth_it;                                    // false
#include <cstdint>
#include <string>
#include <string_view>

namespace dsr {

/// automatic: as decide() says, once a fragment and some steps have been measured.
enum class FragmentPolicy : std::uint8_t { off, automatic, always };
/// "off", "auto", "always". Throws InvalidArgument that names the nearest.
FragmentPolicy parse_fragment_policy(std::string_view text);

struct FragmentCosts {
  double copy_s = 0;   ///< for which training stands still
  double write_s = 0;  ///< beside training; 0: not known yet
  double step_s = 0;
  double mttf_s = 0;  ///< mean time to failure, of the whole job
  bool operator==(FragmentCosts const&) const = default;
};

struct FragmentDecision {
  bool worth_it = false;
  double interval_s = 0;  ///< the best, √(2·copy_s·mttf_s), but no shorter than a write
  /// What fragments without cost would save of each step: a failure loses half a step on average,
  /// so step_s²/(2·mttf_s).
  double saved_s = 0;
};
/// Not worth it if the interval is longer than a step, at whose end the gradients are used up.
/// Source of the interval: Young 1974, doi:10.1145/361147.361115.
FragmentDecision decide(FragmentCosts const& costs);
/// "a fragment costs 95 ms (written in 2.0 s) and would save 2.3 ms of a step (8.3 s) at an MTTF of
/// 4h 12m; the best interval is 53.6 s".
std::string to_string(FragmentCosts const& costs);

}  // namespace dsr
