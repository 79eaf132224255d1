// SPDX-License-Identifier: Apache-2.0
// How often each element is covered, minus once for the whole shape, is a function that is zero
// everywhere exactly if its differences are. Along a dimension a box makes a step up at its begin
// and one down at its end. The steps at each coordinate are boxes of one dimension less, which
// must cancel likewise. n boxes make 2n steps a dimension, whatever they are.
#include "libdsr/checkpoint/tiling.hpp"

#include <algorithm>

namespace dsr::detail {
namespace {

struct Step {
  Size at = 0;
  int sign = 1;
  Box const* box = nullptr;
};

/// Whether the boxes of the steps, with their signs, cancel in dimensions `dim` and inner.
bool cancel(std::vector<Step> const& boxes, int dim, int rank) {
  if (dim == rank) {
    Size sum = 0;
    for (Step const& box : boxes) sum += box.sign;
    return sum == 0;
  }
  std::vector<Step> steps;
  steps.reserve(2 * boxes.size());
  for (Step const& step : boxes) {
    Size const begin = step.box->begin[dim];
    steps.push_back({begin, step.sign, step.box});
    steps.push_back({begin + step.box->count[dim], -step.sign, step.box});
  }
  std::ranges::sort(steps, {}, &Step::at);
  std::vector<Step> group;
  for (auto first = steps.begin(); first != steps.end();) {
    auto const last =
        std::find_if(first, steps.end(), [&](Step const& step) { return step.at != first->at; });
    group.assign(first, last);
    if (!cancel(group, dim + 1, rank)) return false;
    first = last;
  }
  return true;
}

}  // namespace

bool tiles(Shape const& global, std::vector<Box> const& boxes) {
  Box whole{global, global};
  for (int dim = 0; dim < global.rank(); ++dim) {
    if (global[dim] == 0) return boxes.empty();
    whole.begin = whole.begin.with(dim, 0);
  }
  std::vector<Step> steps{{0, -1, &whole}};
  for (Box const& box : boxes) steps.push_back({0, 1, &box});
  return cancel(steps, 0, global.rank());
}

}  // namespace dsr::detail
