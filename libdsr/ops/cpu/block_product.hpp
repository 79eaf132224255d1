// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Products of small matrices in the cache, for attention's blocks: a tile of kTileRows × two
/// vectors of the result stays in registers while the inner dimension runs.
///
///     multiply_rows(a_rows, b, c, {.inner_begin = 0, .inner_end = keys, .columns = D});
///
/// Rows come kTileRows at a time and columns in whole vectors: callers pad their blocks with zeros.
#include <cstddef>

#include "dsr/core/shape.hpp"

namespace dsr::detail {

#if defined(__AVX512F__)
inline constexpr Size kVector_bytes = 64;
inline constexpr int kTileRows = 8;
#elif defined(__AVX__)
inline constexpr Size kVector_bytes = 32;
inline constexpr int kTileRows = 4;
#else
inline constexpr Size kVector_bytes = 16;
inline constexpr int kTileRows = 4;
#endif

template <class T>
inline constexpr Size kLanes = kVector_bytes / static_cast<Size>(sizeof(T));

/// Element (i, k) is data[i·row + k·inner]: a matrix or its transpose.
template <class T>
struct Rowwise {
  T const* data;
  Size row, inner;
};

/// A block of rows of `leading` elements.
template <class T>
struct BlockOf {
  T* data;
  Size leading;
};

struct Extent {
  Size inner_begin, inner_end, columns;
};

enum class Into : unsigned char { overwrite, add };

template <class T, int kColumns>
inline void multiply_tile(Rowwise<T> a, BlockOf<T const> b, BlockOf<T> c, Extent const& extent,
                          Into into) {
  // Vectors that may lie anywhere: rows of a caller's matrix are aligned only as its elements are.
  using Vector __attribute__((vector_size(kVector_bytes), aligned(sizeof(T)), may_alias)) = T;
  Vector sum[kTileRows][kColumns];
  for (int r = 0; r < kTileRows; ++r) {
    for (int v = 0; v < kColumns; ++v) {
      auto const* const from = reinterpret_cast<Vector const*>(c.data + r * c.leading);
      sum[r][v] = into == Into::add ? from[v] : Vector{};
    }
  }
  for (Size k = extent.inner_begin; k < extent.inner_end; ++k) {
    auto const* const right = reinterpret_cast<Vector const*>(b.data + k * b.leading);
    T const* const left = a.data + k * a.inner;
    for (int r = 0; r < kTileRows; ++r) {
      for (int v = 0; v < kColumns; ++v) sum[r][v] += left[r * a.row] * right[v];
    }
  }
  for (int r = 0; r < kTileRows; ++r) {
    auto* const to = reinterpret_cast<Vector*>(c.data + r * c.leading);
    for (int v = 0; v < kColumns; ++v) to[v] = sum[r][v];
  }
}

/// kTileRows rows of c: c = or += Σ over k in [inner_begin, inner_end) of a(·, k)·b(k, ·),
/// `columns` wide.
template <class T>
inline void multiply_rows(Rowwise<T> a, BlockOf<T const> b, BlockOf<T> c, Extent const& extent,
                          Into into) {
  Size column = 0;
  for (; column + 2 * kLanes<T> <= extent.columns; column += 2 * kLanes<T>) {
    multiply_tile<T, 2>(a, {b.data + column, b.leading}, {c.data + column, c.leading}, extent,
                        into);
  }
  if (column < extent.columns) {
    multiply_tile<T, 1>(a, {b.data + column, b.leading}, {c.data + column, c.leading}, extent,
                        into);
  }
}

}  // namespace dsr::detail
