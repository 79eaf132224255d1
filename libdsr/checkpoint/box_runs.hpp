// SPDX-License-Identifier: Apache-2.0
#pragma once
/// The part that two row-major blocks have in common, as runs that are contiguous in both.
///
///     for_runs(part, slice.box, wanted.box, [&](Size from, Size to, Size elements) { … });
#include <algorithm>
#include <vector>

#include "dsr/layout/box.hpp"

namespace dsr::detail {

/// Elements from one index to the next in each dimension of a row-major block.
inline std::vector<Size> strides_of(Shape const& block) {
  std::vector<Size> strides(static_cast<std::size_t>(block.rank()), 1);
  for (int d = block.rank() - 2; d >= 0; --d) {
    auto const i = static_cast<std::size_t>(d);
    strides[i] = strides[i + 1] * block[d + 1];
  }
  return strides;
}

/// Where `index` lies in a row-major block that begins at `begin`, in elements.
inline Size offset_in(std::vector<Size> const& strides, Shape const& begin,
                      std::vector<Size> const& index) {
  Size offset = 0;
  for (std::size_t d = 0; d < index.size(); ++d)
    offset += (index[d] - begin[static_cast<int>(d)]) * strides[d];
  return offset;
}

/// How many trailing dimensions of `part` are whole in both blocks: elements over them, and over
/// one more dimension, follow each other in both.
inline int whole_dimensions(Shape const& part, Shape const& a, Shape const& b) {
  int whole = 0;
  for (int d = part.rank() - 1; d >= 0 && part[d] == a[d] && part[d] == b[d]; --d) ++whole;
  return whole;
}

/// Dimensions that for_runs steps through; a run holds all that is in the ones behind them.
inline int outer_dimensions(Box const& part, Box const& from, Box const& to) {
  int const whole = whole_dimensions(part.count, from.count, to.count);
  return std::max(0, part.count.rank() - whole - 1);
}

/// How many runs for_runs finds.
inline Size run_count(Box const& part, Box const& from, Box const& to) {
  Size count = 1;
  for (int d = 0; d < outer_dimensions(part, from, to); ++d) count *= part.count[d];
  return count;
}

/// Calls f(offset in `from`, offset in `to`, elements) for the runs of `part` that lie together in
/// both blocks.
template <class F>
void for_runs(Box const& part, Box const& from, Box const& to, F&& f) {
  int const rank = part.count.rank();
  int const outer = outer_dimensions(part, from, to);
  Size run = 1;
  for (int d = outer; d < rank; ++d) run *= part.count[d];
  std::vector<Size> const from_strides = strides_of(from.count), to_strides = strides_of(to.count);
  std::vector<Size> index(part.begin.begin(), part.begin.end());
  for (;;) {
    f(offset_in(from_strides, from.begin, index), offset_in(to_strides, to.begin, index), run);
    int d = outer - 1;
    for (; d >= 0; --d) {
      auto const i = static_cast<std::size_t>(d);
      if (++index[i] < part.begin[d] + part.count[d]) break;
      index[i] = part.begin[d];
    }
    if (d < 0) return;
  }
}

}  // namespace dsr::detail
