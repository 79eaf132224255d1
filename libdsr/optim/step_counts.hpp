// SPDX-License-Identifier: Apache-2.0
#pragma once
/// The optimizer's counts of steps, as a state keeps them: "applied=1200 skipped=1".
#include <string>

#include "dsr/core/shape.hpp"

namespace dsr::detail {

struct StepCounts {
  Size applied = 0, skipped = 0;
};

std::string to_text(StepCounts const& counts);

/// Throws CorruptData unless the text is exactly what to_text writes, with counts >= 0.
StepCounts parse_step_counts(std::string const& text);

}  // namespace dsr::detail
