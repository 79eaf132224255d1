// SPDX-License-Identifier: Apache-2.0
/// Products by CBLAS, shared among threads here: the tiles of `out` depend on the sizes alone, so
/// the bits do not depend on the number of threads, and one tile a thread is faster than the
/// library's own sharing at these sizes. Inside a parallel region a CBLAS that uses OpenMP runs
/// each call on the calling thread.
#include <cblas.h>

#include <algorithm>

#include "libdsr/ops/cpu/cpu_backend.hpp"
#include "libdsr/ops/cpu/parallel.hpp"

namespace dsr::detail {
namespace {

/// A matrix, or a batch of them; `step` is 0 where every member uses the same one.
template <class T>
struct Operand {
  T* data;
  Size leading, step;
  bool turned;

  Operand(Tensor const& x, Transpose transpose)
      : data(x.data<T>()),
        leading(std::max({x.stride(-2), x.size(-1), Size{1}})),
        step(x.rank() == 3 ? x.stride(0) : 0),
        turned(transpose == Transpose::yes) {}

  /// Element (row, column) of op(x) of a member.
  T* at(Size member, Size row, Size column) const {
    return data + member * step + (turned ? column * leading + row : row * leading + column);
  }
  CBLAS_TRANSPOSE transpose() const { return turned ? CblasTrans : CblasNoTrans; }
  int ld() const { return static_cast<int>(leading); }
};

struct Tile {
  Size row, column, rows, columns;
};

/// Cuts [M, N] into tiles of like size: about 192 rows keep a tile at full speed, and an even
/// number of tiles suits an even number of threads.
struct Tiling {
  Size m, n, tile_rows, tile_columns;

  Tiling(Size rows, Size columns) : m(rows), n(columns) {
    constexpr Size kUnit = 16, kRows = 192, kColumns = 1024, kWorthCutting = 128;
    Size const down = m >= kWorthCutting ? 2 * ceil_div(m, 2 * kRows) : 1;
    Size const least = down == 1 && n >= kWorthCutting ? 2 : 1;
    Size const across = std::max(least, ceil_div(n, kColumns));
    tile_rows = round_up(ceil_div(m, down), kUnit);
    tile_columns = round_up(ceil_div(n, across), kUnit);
  }
  Size across() const { return ceil_div(n, tile_columns); }
  Size count() const { return ceil_div(m, tile_rows) * across(); }
  Tile operator[](Size i) const {
    Size const row = i / across() * tile_rows, column = i % across() * tile_columns;
    return {row, column, std::min(tile_rows, m - row), std::min(tile_columns, n - column)};
  }
};

void gemm(Tile const& tile, Size k, double alpha, Operand<float> const& a, float const* a_data,
          Operand<float> const& b, float const* b_data, double beta, float* out, int ld) {
  cblas_sgemm(CblasRowMajor, a.transpose(), b.transpose(), static_cast<int>(tile.rows),
              static_cast<int>(tile.columns), static_cast<int>(k), static_cast<float>(alpha),
              a_data, a.ld(), b_data, b.ld(), static_cast<float>(beta), out, ld);
}

void gemm(Tile const& tile, Size k, double alpha, Operand<double> const& a, double const* a_data,
          Operand<double> const& b, double const* b_data, double beta, double* out, int ld) {
  cblas_dgemm(CblasRowMajor, a.transpose(), b.transpose(), static_cast<int>(tile.rows),
              static_cast<int>(tile.columns), static_cast<int>(k), alpha, a_data, a.ld(), b_data,
              b.ld(), beta, out, ld);
}

template <class T>
void multiply(Tensor const& a_tensor, Tensor const& b_tensor, Tensor const& out_tensor,
              MatmulOptions const& options) {
  Operand<T> const a{a_tensor, options.a}, b{b_tensor, options.b};
  Operand<T> const out{out_tensor, Transpose::no};
  Size const m = out_tensor.size(-2), n = out_tensor.size(-1);
  Size const k = a_tensor.size(options.a == Transpose::yes ? -2 : -1);
  if (m == 0 || n == 0) return;

  bool const summed = out_tensor.rank() == 2 && (a_tensor.rank() == 3 || b_tensor.rank() == 3);
  Size const batch = a_tensor.rank() == 3 ? a_tensor.size(0)
                     : b_tensor.rank() == 3 ? b_tensor.size(0)
                     : out_tensor.rank() == 3 ? out_tensor.size(0) : 1;
  Size const members = summed ? 1 : batch, terms = summed ? batch : 1;
  Tiling const tiling{m, n};
  Size const tiles = tiling.count(), weight = members * m * n * std::max(terms * k, Size{1});

  // One sum over no terms still scales `out`: an empty product does that.
  for_each_task(members * tiles, weight / 16, [&](Size task) {
    Size const member = task / tiles;
    Tile const tile = tiling[task % tiles];
    T* const to = out.at(member, tile.row, tile.column);
    for (Size term = 0; term < std::max(terms, Size{1}); ++term) {
      Size const from = summed ? term : member;
      gemm(tile, terms == 0 ? 0 : k, options.alpha, a, a.at(from, tile.row, 0), b,
           b.at(from, 0, tile.column), term == 0 ? options.beta : 1.0, to, out.ld());
    }
  });
}

}  // namespace

void CpuBackend::matmul(Tensor a, Tensor b, Tensor out, MatmulOptions options,
                        Stream& stream) const {
  launch(stream, out, [=](auto zero) { multiply<decltype(zero)>(a, b, out, options); });
}

}  // namespace dsr::detail
