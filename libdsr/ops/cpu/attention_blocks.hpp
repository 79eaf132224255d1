// SPDX-License-Identifier: Apache-2.0
#pragma once
/// What attention's forward and backward share: where heads lie in qkv, and blocks of them in local
/// memory.
#include <algorithm>
#include <cmath>

#include "dsr/core/tensor.hpp"
#include "libdsr/ops/cpu/block_product.hpp"
#include "libdsr/ops/cpu/parallel.hpp"

namespace dsr::detail {

/// Queries, and keys, that a block holds.
inline constexpr Size kBlock = 64;

/// Sizes and places of qkv [T, groups, n + 2, D] and y [T, groups·n·D].
struct Heads {
  Size tokens, groups, queries, size;  ///< queries: heads of a group
  Size sequences;
  std::int32_t const* starts;

  Heads(Tensor const& qkv, Tensor const& sequence_starts)
      : tokens(qkv.size(0)),
        groups(qkv.size(1)),
        queries(qkv.size(2) - 2),
        size(qkv.size(3)),
        sequences(sequence_starts.size(0) - 1),
        starts(sequence_starts.data<std::int32_t>()) {}

  Size count() const { return groups * queries; }
  Size qkv_stride() const { return groups * (queries + 2) * size; }
  Size y_stride() const { return count() * size; }
  /// Offset of slot `slot` of a group (its n queries, key, value) in a row of qkv.
  Size slot(Size group, Size slot) const { return (group * (queries + 2) + slot) * size; }
  double scale() const { return 1 / std::sqrt(static_cast<double>(size)); }
  Size longest() const {
    Size longest = 0;
    for (Size b = 0; b < sequences; ++b)
      longest = std::max<Size>(longest, starts[b + 1] - starts[b]);
    return longest;
  }
};

/// Columns of D features in whole vectors.
template <class T>
Size padded(Size size) {
  return round_up(size, kLanes<T>);
}

/// Keys of a block that a row of queries sees: on the diagonal block row r sees keys 0…r.
struct Sight {
  Size keys;
  bool diagonal;

  Size of_row(Size row) const { return diagonal ? std::min(row + 1, keys) : keys; }
  /// The most that any row of the tile of rows from `row` on sees.
  Size of_tile(Size row) const { return of_row(row + kTileRows - 1); }
  /// The first row that sees a key of the tile of keys from `key` on.
  Size first_row(Size key) const { return diagonal ? key : 0; }
};

/// to [kBlock, width] = factor · rows of `from`, zeros beyond them.
template <class T>
void pack(T const* from, Size stride, Size rows, Size size, T factor, BlockOf<T> to) {
  for (Size r = 0; r < rows; ++r) {
    T* const line = to.data + r * to.leading;
#pragma omp simd
    for (Size d = 0; d < size; ++d) line[d] = factor * from[r * stride + d];
    std::fill(line + size, line + to.leading, T{0});
  }
  std::fill(to.data + rows * to.leading, to.data + kBlock * to.leading, T{0});
}

/// to [D, kBlock] = rows of `from` as columns, zeros beyond them.
template <class T>
void pack_turned(T const* from, Size stride, Size rows, Size size, T* to) {
  for (Size r = 0; r < rows; ++r) {
    for (Size d = 0; d < size; ++d) to[d * kBlock + r] = from[r * stride + d];
  }
  if (rows == kBlock) return;
  for (Size d = 0; d < size; ++d) std::fill(to + d * kBlock + rows, to + (d + 1) * kBlock, T{0});
}

/// Cuts one piece of scratch memory into arrays that begin on cache lines.
template <class T>
class Workspace {
 public:
  explicit Workspace(Size elements) : next_(scratch<T>(elements)) {}
  T* take(Size elements) {
    T* const taken = next_;
    next_ += round_up(elements, 16);
    return taken;
  }

 private:
  T* next_;
};

/// Zeros rows outside every sequence.
template <class T>
void zero_padding(Heads const& heads, Size stride, T* rows) {
  Size const begin = heads.starts[0], end = heads.starts[heads.sequences];
  std::fill(rows, rows + begin * stride, T{0});
  std::fill(rows + end * stride, rows + heads.tokens * stride, T{0});
}

}  // namespace dsr::detail
