// SPDX-License-Identifier: Apache-2.0
#include "libdsr/ops/cpu/cpu_backend.hpp"
#include "libdsr/ops/cpu/parallel.hpp"

namespace dsr::detail {
namespace {

/// A table of `rows` from first_row on, and tokens whose features lie in P blocks of `width`.
struct LookUp {
  std::int32_t const* ids;
  Size first_row, rows, tokens, blocks, width;

  Size features() const { return blocks * width; }
  /// The table's row for a token, or -1.
  Size row(Size token) const {
    Size const row = ids[token] - first_row;
    return ids[token] >= 0 && row >= 0 && row < rows ? row : -1;
  }
};

LookUp look_up(Tensor const& ids, Size first_row, Tensor const& table, Tensor const& blocked) {
  return {ids.data<std::int32_t>(), first_row, table.size(0), blocked.size(1), blocked.size(0),
          blocked.size(2)};
}

template <class T>
void add_rows(LookUp const& at, T const* table, T* out) {
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

/// Each task owns some features of the table and takes the tokens in order.
template <class T>
void scatter_rows(LookUp const& at, T const* dx, T* dtable) {
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
    add_rows<T>(look_up(ids, first_row, table, out), table.data<T>(), out.data<T>());
  });
}

void CpuBackend::embedding_backward(Tensor ids, Size first_row, Tensor dx, Tensor dtable,
                                    Stream& stream) const {
  launch(stream, dtable, [=](auto zero) {
    using T = decltype(zero);
    scatter_rows<T>(look_up(ids, first_row, dtable, dx), dx.data<T>(), dtable.data<T>());
  });
}

}  // namespace dsr::detail
