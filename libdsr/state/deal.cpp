// SPDX-License-Identifier: Apache-2.0
#include "dsr/state/deal.hpp"

#include <algorithm>
#include <string>

#include "dsr/core/error.hpp"

namespace dsr {

FlatRange FlatRange::part(int number, int parts) const {
  if (number < 0 || number >= parts) {
    throw InvalidArgument(problem("range of " + std::to_string(elements()) + " elements",
                                  "part " + std::to_string(number) + " of " + std::to_string(parts),
                                  "0 to parts - 1"));
  }
  // The first `longer` parts have one element more: no product that could overflow.
  Size const each = elements() / parts, longer = elements() % parts;
  Size const first = begin + number * each + std::min<Size>(number, longer);
  return {first, first + each + (number < longer ? 1 : 0)};
}

FlatRange FlatRange::common(FlatRange const& other) const {
  Size const first = std::clamp(other.begin, begin, end);
  return {first, std::clamp(other.end, first, end)};
}

std::string to_string(FlatRange const& range) {
  return std::string{"["} + std::to_string(range.begin) + ", " + std::to_string(range.end) + ")";
}

}  // namespace dsr
