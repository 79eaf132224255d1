// SPDX-License-Identifier: Apache-2.0
#include "dsr/layout/shard.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "dsr/core/error.hpp"

namespace dsr {
namespace {

/// "row" or "(row·col)": a product as it stands in an equation.
std::string product_of(AxisSet axes) {
  std::string text;
  int factors = 0;
  for (Axis axis : kAllAxes) {
    if (!axes.has(axis)) continue;
    text += (factors++ > 0 ? "·" : "") + std::string{name_of(axis)};
  }
  return factors > 1 ? "(" + text + ")" : text;
}

void require_divisible(Shape const& global, Cut const& cut, int parts) {
  Size const size = global[cut.dim];
  if (cut.remainder == Remainder::pad || size % parts == 0) return;
  std::string const number = std::to_string(size);
  Size const below = size / parts * parts;
  std::string const nearest =
      (below > 0 ? std::to_string(below) + " or " : "") + std::to_string(below + parts);
  throw InvalidArgument(problem("shard: dimension " + std::to_string(cut.dim),
                                number + " % " + product_of(cut.axes) + " = " + number + " % " +
                                    std::to_string(parts) + " = " + std::to_string(size % parts),
                                "0", nearest));
}

}  // namespace

Shard::Shard(Shape global, std::vector<Cut> cuts, MeshShape mesh)
    : global_(global), cuts_(std::move(cuts)), mesh_(std::move(mesh)) {
  mesh_.validate();
  AxisSet used;
  std::vector<int> dims;
  for (Cut const& cut : cuts_) {
    std::string const dim = std::to_string(cut.dim);
    if (cut.dim < 0 || cut.dim >= global_.rank()) {
      throw InvalidArgument(problem("shard of " + to_string(global_), "cut of dimension " + dim,
                                    "0 to " + std::to_string(global_.rank() - 1)));
    }
    if (std::find(dims.begin(), dims.end(), cut.dim) != dims.end()) {
      throw InvalidArgument(problem("shard of " + to_string(global_),
                                    "dimension " + dim + " is cut twice",
                                    "one cut over a product of axes"));
    }
    if (!(used & cut.axes).empty()) {
      throw InvalidArgument(problem("shard of " + to_string(global_),
                                    to_string(used & cut.axes) + " cuts two dimensions", "one"));
    }
    require_divisible(global_, cut, mesh_.size(cut.axes));
    used = used | cut.axes;
    dims.push_back(cut.dim);
  }
}

Shape Shard::local_shape() const {
  Shape local = global_;
  for (Cut const& cut : cuts_) {
    local = local.with(cut.dim, ceil_div(global_[cut.dim], mesh_.size(cut.axes)));
  }
  return local;
}

Box Shard::box(Place const& place) const {
  Box box{global_, global_};
  for (int dim = 0; dim < global_.rank(); ++dim) box.begin = box.begin.with(dim, 0);
  for (Cut const& cut : cuts_) {
    Size const size = global_[cut.dim];
    Size const part = ceil_div(size, mesh_.size(cut.axes));
    Size const begin = std::min(size, part * dsr::place_in(mesh_, place, cut.axes));
    box.begin = box.begin.with(cut.dim, begin);
    box.count = box.count.with(cut.dim, std::min(part, size - begin));
  }
  return box;
}

AxisSet Shard::cut_over() const {
  AxisSet axes;
  for (Cut const& cut : cuts_) axes = axes | cut.axes;
  return axes;
}

}  // namespace dsr
