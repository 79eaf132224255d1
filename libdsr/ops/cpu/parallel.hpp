// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Sharing work among OpenMP threads so that no result depends on how many there are: tasks are cut
/// by size alone.
///
///     for_each_task(rows, elements, [&](Size row) { … });
///     for_chunks(elements, [&](Size begin, Size end) { … });
///     add_row_sums<T>(size, {dgamma, dbeta}, [&](Size begin, Size end, auto const& partial) { …
///     });
#include <algorithm>
#include <array>
#include <vector>

#include "libdsr/ops/check.hpp"

namespace dsr::detail {

/// Passes over fewer elements than this cost less than waking the threads.
inline constexpr Size kParallelElements = 16384;

/// f(i) for every task, in parallel if there is enough to do.
template <class F>
void for_each_task(Size tasks, [[maybe_unused]] Size elements, F const& f) {
#pragma omp parallel for schedule(static) if (elements > kParallelElements)
  for (Size i = 0; i < tasks; ++i) f(i);
}

/// f(begin, end) for fixed chunks of [0, elements).
template <class F>
void for_chunks(Size elements, F const& f) {
  constexpr Size kChunk = 4096;
  for_each_task(ceil_div(elements, kChunk), elements,
                [&](Size i) { f(i * kChunk, std::min(elements, (i + 1) * kChunk)); });
}

/// At least `count` elements on a cache line boundary, this thread's own: one user at a time, kept
/// between calls.
template <class T>
T* scratch(Size count) {
  constexpr std::size_t kLine_bytes = 64;
  thread_local std::vector<T> memory;
  std::size_t const needed = static_cast<std::size_t>(count) + kLine_bytes / sizeof(T);
  if (memory.size() < needed) memory.resize(needed);
  auto const address = reinterpret_cast<std::uintptr_t>(memory.data());
  return memory.data() + (kLine_bytes - address % kLine_bytes) % kLine_bytes / sizeof(T);
}

/// totals[k][n] += Σ over rows, for K sums of N columns (null: not wanted). f(begin, end, partial)
/// adds rows [begin, end) into partial[k], which start as zeros; the fixed blocks of rows are then
/// summed in order.
template <class T, std::size_t K, class F>
void add_row_sums(Rows size, std::array<T*, K> const& totals, F const& f) {
  constexpr Size kMostBlocks = 32, kFewestRows = 32;
  Size const block_rows = std::max(kFewestRows, ceil_div(size.rows, kMostBlocks));
  Size const blocks = ceil_div(size.rows, block_rows), width = round_up(size.features, 16);
  Size const block_elements = static_cast<Size>(K) * width;
  T* const partials = scratch<T>(blocks * block_elements);

  for_each_task(blocks, size.rows * size.features, [&](Size block) {
    std::array<T*, K> partial;
    for (std::size_t k = 0; k < K; ++k) {
      partial[k] = partials + block * block_elements + static_cast<Size>(k) * width;
      std::fill_n(partial[k], width, T{0});
    }
    f(block * block_rows, std::min(size.rows, (block + 1) * block_rows), partial);
  });
  for (std::size_t k = 0; k < K; ++k) {
    if (totals[k] == nullptr) continue;
    for (Size block = 0; block < blocks; ++block) {
      T const* const partial = partials + block * block_elements + static_cast<Size>(k) * width;
#pragma omp simd
      for (Size n = 0; n < size.features; ++n) totals[k][n] += partial[n];
    }
  }
}

}  // namespace dsr::detail
