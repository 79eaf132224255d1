// SPDX-License-Identifier: Apache-2.0
#include "dsr/layout/box.hpp"

#include <algorithm>
#include <array>

#include "dsr/core/error.hpp"

namespace dsr {
namespace {

/// A box that grows dimension by dimension.
struct Corner {
  std::array<Size, Shape::kMaxRank> begin{}, count{};
};

/// Splits the flat range [begin, end) of dimensions dim and inner into boxes. Outer dimensions are
/// set in `corner`.
void split(Shape const& block, int dim, Size begin, Size end, Corner corner,
           std::vector<Box>& boxes) {
  auto const d = static_cast<std::size_t>(dim);
  if (dim == block.rank()) {
    boxes.push_back({Shape{std::span<Size const>{corner.begin.data(), d}},
                     Shape{std::span<Size const>{corner.count.data(), d}}});
    return;
  }
  Size row = 1;
  for (int inner = dim + 1; inner < block.rank(); ++inner) row *= block[inner];
  auto part = [&](Size first, Size rows, Size from, Size to) {
    if (rows == 0 || from == to) return;
    corner.begin[d] = first;
    corner.count[d] = rows;
    split(block, dim + 1, from, to, corner, boxes);
  };
  Size const first = begin / row, last = end / row;
  if (first == last) {
    part(first, 1, begin % row, end % row);
    return;
  }
  Size const whole = ceil_div(begin, row);  // the first row that begins inside the range
  if (whole != first) part(first, 1, begin % row, row);
  part(whole, last - whole, 0, row);
  part(last, 1, 0, end % row);
}

bool inside(Shape const& global, Box const& box) {
  for (int dim = 0; dim < global.rank(); ++dim) {
    if (box.begin[dim] + box.count[dim] > global[dim]) return false;
  }
  return true;
}

}  // namespace

std::optional<Box> intersect(Box const& a, Box const& b) {
  if (a.begin.rank() != b.begin.rank() || a.count.rank() != b.count.rank()) {
    throw InvalidArgument(problem("intersect", to_string(a) + " and " + to_string(b),
                                  "boxes with the same number of dimensions"));
  }
  Corner common;
  int const rank = a.begin.rank();
  for (int dim = 0; dim < rank; ++dim) {
    auto const d = static_cast<std::size_t>(dim);
    common.begin[d] = std::max(a.begin[dim], b.begin[dim]);
    Size const end = std::min(a.begin[dim] + a.count[dim], b.begin[dim] + b.count[dim]);
    if (end <= common.begin[d]) return std::nullopt;
    common.count[d] = end - common.begin[d];
  }
  auto const dims = static_cast<std::size_t>(rank);
  return Box{Shape{std::span<Size const>{common.begin.data(), dims}},
             Shape{std::span<Size const>{common.count.data(), dims}}};
}

std::vector<Box> boxes_of_range(Shape const& block, Size begin, Size end) {
  Size const elements = block.elements();
  if (begin < 0 || end < begin || end > elements) {
    throw InvalidArgument(problem("range of block " + to_string(block),
                                  "[" + std::to_string(begin) + ", " + std::to_string(end) + ")",
                                  "within [0, " + std::to_string(elements) + ")"));
  }
  std::vector<Box> boxes;
  if (begin != end) split(block, 0, begin, end, {}, boxes);
  return boxes;
}

bool covers_once(Shape const& global, std::vector<Box> const& boxes) {
  Size covered = 0;
  std::vector<Box const*> kept;
  for (Box const& box : boxes) {
    if (box.begin.rank() != global.rank() || box.count.rank() != global.rank()) return false;
    if (box.empty()) continue;
    if (!inside(global, box)) return false;
    covered += box.elements();
    kept.push_back(&box);
  }
  if (covered != global.elements()) return false;
  // Equal volume and no overlap is exact cover. Sorted by first row, a box can meet only those
  // before its end.
  bool const has_rows = global.rank() > 0;
  auto first = [has_rows](Box const* box) { return has_rows ? box->begin[0] : 0; };
  std::sort(kept.begin(), kept.end(), [&](auto* a, auto* b) { return first(a) < first(b); });
  for (std::size_t i = 0; i < kept.size(); ++i) {
    for (std::size_t j = i + 1; j < kept.size(); ++j) {
      if (has_rows && first(kept[j]) >= kept[i]->begin[0] + kept[i]->count[0]) break;
      if (intersect(*kept[i], *kept[j])) return false;
    }
  }
  return true;
}

std::string to_string(Box const& box) {
  return to_string(box.begin) + " + " + to_string(box.count);
}

}  // namespace dsr
