// SPDX-License-Identifier: Apache-2.0
#include "dsr/layout/axis.hpp"

#include "dsr/core/error.hpp"
#include "dsr/core/text.hpp"

namespace dsr {
namespace {

constexpr std::array<std::string_view, kAxes> kNames{"dp", "pp", "row", "col"};

}  // namespace

std::string_view name_of(Axis axis) { return kNames[static_cast<std::size_t>(axis)]; }

std::string to_string(AxisSet axes) {
  if (axes.empty()) return "none";
  if (axes == kWorld) return "world";
  std::string text;
  for (Axis axis : kAllAxes) {
    if (!axes.has(axis)) continue;
    if (!text.empty()) text += "×";
    text += name_of(axis);
  }
  return text;
}

Axis parse_axis(std::string_view name) {
  for (Axis axis : kAllAxes) {
    if (name_of(axis) == name) return axis;
  }
  throw InvalidArgument(problem("axis", "\"" + std::string{name} + "\"", "dp, pp, row, col",
                                nearest_name(name, kNames)));
}

}  // namespace dsr
