// SPDX-License-Identifier: Apache-2.0
#include "libdsr/ops/cpu/cpu_backend.hpp"
#include "libdsr/ops/cpu/parallel.hpp"

namespace dsr::detail {
namespace {

/// A table of `rows` from first_row on, and tokens whose features lie in P blocks of `width`.
struct RowsOf {
  std::int32_t const* ids;
  Size first_row, rows, tokens, blocks, width;

  Size features() const { return blocks * width; }
  /// The table's row for a token, or -1.
  Size row(Size token) const {
    Size const row = ids[token] - first_row;
    return ids[token] >= 0 && row >= 0 && row < rows ? row : -1;
  }
};

RowsOf rows_at(Tensor const& ids, Size first_row, Tensor const& table, Tensor const& blocked) {
  return {ids.data<std::int32_t>(), first_row,       table.size(0),
          blocked.size(1),          blocked.size(0), blocked.size(2)};
}

template <class T>
void add_rows(RowsOf const& at, T const* table, T* out) {
  for_each_task(at.tokens, at.tokens * at.features(), [=](Size token) {
    Size const row = at.row(token);
    if (row < 0) return;
    for (Size block = 0; block < at.blocks; ++block) {
      T const* const from = table + row * at.features() + block * at.width;
      T* const to = out + (block * at.tokens + token) * at.width;
#pragma omp simd
      for (Size n = 0; n < at.width; ++n) to[n] += from[n];
    }
  });
}

/// Rows of both tables, and zeros where a token has none.
template <class T>
void sum_rows(RowsOf const& a, T const* a_table, RowsOf const& b, T const* b_table, T* out) {
  for_each_task(a.tokens, a.tokens * a.features(), [=](Size token) {
    Size const a_row = a.row(token), b_row = b.row(token);
    for (Size block = 0; block < a.blocks; ++block) {
      Size const at = block * a.width;
      T* const to = out + (block * a.tokens + token) * a.width;
      std::fill_n(to, a.width, T{0});
      auto const add = [&](T const* from) {
#pragma omp simd
        for (Size n = 0; n < a.width; ++n) to[n] += from[n];
      };
      if (a_row >= 0) add(a_table + a_row * a.features() + at);
      if (b_row >= 0) add(b_table + b_row * a.features() + at);
    }
  });
}

/// Each task owns some features of the table and takes the tokens in order.
template <class T>
void scatter_rows(RowsOf const& at, T const* dx, T* dtable) {
  constexpr Size kSlice = 64;
  Size const slices = ceil_div(at.width, kSlice);
  for_each_task(at.blocks * slices, at.tokens * at.features(), [=](Size task) {
    Size const block = task / slices, begin = task % slices * kSlice;
    Size const size = std::min(at.width - begin, kSlice);
    for (Size token = 0; token < at.tokens; ++token) {
      Size const row = at.row(token);
      if (row < 0) continue;
      T const* const from = dx + (block * at.tokens + token) * at.width + begin;
      T* const to = dtable + row * at.features() + block * at.width + begin;
#pragma omp simd
      for (Size n = 0; n < size; ++n) to[n] += from[n];
    }
  });
}

}  // namespace

void CpuBackend::embedding(Tensor ids, Tensor table, Size first_row, Tensor out,
                           Stream& stream) const {
  launch(stream, table, [=](auto zero) {
    using T = decltype(zero);
    add_rows<T>(rows_at(ids, first_row, table, out), table.data<T>(), out.data<T>());
  });
}

void CpuBackend::embedding_sum(LookUp const& a, LookUp const& b, Tensor out, Stream& stream) const {
  launch(stream, out, [=](auto zero) {
    using T = decltype(zero);
    sum_rows<T>(rows_at(a.ids, a.first_row, a.table, out), a.table.data<T>(),
                rows_at(b.ids, b.first_row, b.table, out), b.table.data<T>(), out.data<T>());
  });
}

void CpuBackend::embedding_backward(Tensor ids, Size first_row, Tensor dx, Tensor dtable,
                                    Stream& stream) const {
  launch(stream, dtable, [=](auto zero) {
    using T = decltype(zero);
    scatter_rows<T>(rows_at(ids, first_row, dtable, dx), dx.data<T>(), dtable.data<T>());
  });
}

}  // namespace dsr::detail
