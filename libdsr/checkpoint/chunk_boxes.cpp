// SPDX-License-Identifier: Apache-2.0
#include "libdsr/checkpoint/chunk_boxes.hpp"

#include <algorithm>

namespace dsr::detail {

std::vector<Box> chunk_boxes(Box const& box, Size most) {
  int const rank = box.count.rank();
  if (box.empty()) return {};
  if (rank == 0) return {box};
  int cut = rank - 1;  // the dimension that is cut
  Size inner = 1;
  for (; cut > 0 && inner * box.count[cut] <= most; --cut) inner *= box.count[cut];
  Size const extent = box.count[cut];
  Size const parts = ceil_div(extent, std::max(Size{1}, most / inner));
  Size outer = 1;
  for (int dim = 0; dim < cut; ++dim) outer *= box.count[dim];

  std::vector<Box> chunks;
  chunks.reserve(static_cast<std::size_t>(outer * parts));
  for (Size row = 0; row < outer; ++row) {
    Box chunk = box;
    Size rest = row;
    for (int dim = cut - 1; dim >= 0; --dim) {
      chunk.begin = chunk.begin.with(dim, box.begin[dim] + rest % box.count[dim]);
      chunk.count = chunk.count.with(dim, 1);
      rest /= box.count[dim];
    }
    for (Size part = 0; part < parts; ++part) {
      Size const begin = extent * part / parts, end = extent * (part + 1) / parts;
      chunk.begin = chunk.begin.with(cut, box.begin[cut] + begin);
      chunk.count = chunk.count.with(cut, end - begin);
      chunks.push_back(chunk);
    }
  }
  return chunks;
}

}  // namespace dsr::detail
