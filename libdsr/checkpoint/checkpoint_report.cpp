// SPDX-License-Identifier: Apache-2.0
#include "dsr/checkpoint/checkpoint_report.hpp"

#include <algorithm>
#include <cstdio>

namespace dsr {
namespace {

/// "45s", "4m12s", "3h05m", "2d04h".
std::string age_text(double seconds) {
  auto const whole = static_cast<long long>(std::max(0.0, seconds));
  char text[32];
  if (whole < 60)
    std::snprintf(text, sizeof text, "%llds", whole);
  else if (whole < 3600)
    std::snprintf(text, sizeof text, "%lldm%02llds", whole / 60, whole % 60);
  else if (whole < 86400)
    std::snprintf(text, sizeof text, "%lldh%02lldm", whole / 3600, whole / 60 % 60);
  else
    std::snprintf(text, sizeof text, "%lldd%02lldh", whole / 86400, whole / 3600 % 24);
  return text;
}

}  // namespace

std::string to_string(ResumedSet const& set) {
  std::string const files = std::to_string(set.files) + "/" + std::to_string(set.files);
  std::string const name = std::string{name_of(set.tier)} + "/" + to_string(set.name);
  std::string const details = " (age " + age_text(set.age_s) + ", " + files + " files verified";
  if (set.fresh_start) {
    return "started at step 0 with the weights of " + name + details +
           "): it has no optimizer state, so moments are zero and data begins at its start";
  }
  return "resumed step " + std::to_string(set.name.step) + " from " + name + details +
         ", saved on " + set.mesh + ")";
}

}  // namespace dsr
