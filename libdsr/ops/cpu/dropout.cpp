// SPDX-License-Identifier: Apache-2.0
#include "kernels/common/philox.hpp"
#include "libdsr/ops/cpu/cpu_backend.hpp"
#include "libdsr/ops/cpu/parallel.hpp"

namespace dsr::detail {
namespace {

constexpr Size kQuads = 32;  ///< Philox blocks drawn together: the lanes of the vectorised rounds

struct RowCounter {
  RandomKey key;
  std::uint32_t ordinal, position;
};

/// The bits of features [4·first_quad, 4·(first_quad + kQuads)) of a row. Words are kept apart
/// while they are drawn: the rounds vectorise over the blocks only if each word is stored without
/// gaps.
void draw(RowCounter const& row, std::uint32_t first_quad, std::uint32_t* bits) {
  std::uint32_t words[4][kQuads];
#pragma omp simd
  for (Size lane = 0; lane < kQuads; ++lane) {
    kernels::PhiloxBlock const block = kernels::philox(
        row.key.low, row.key.high,
        {{row.ordinal, row.position, first_quad + static_cast<std::uint32_t>(lane), 0}});
    words[0][lane] = block.x[0];
    words[1][lane] = block.x[1];
    words[2][lane] = block.x[2];
    words[3][lane] = block.x[3];
  }
  for (Size lane = 0; lane < kQuads; ++lane) {
    for (Size word = 0; word < 4; ++word) bits[4 * lane + word] = words[word][lane];
  }
}

template <class T>
void drop_row(RowCounter const& counter, std::uint32_t threshold, T factor, Size first_feature,
              Size features, T const* x, T* out) {
  std::uint32_t bits[4 * kQuads];
  Size const begin = first_feature - first_feature % 4, end = first_feature + features;
  for (Size at = begin; at < end; at += 4 * kQuads) {
    draw(counter, static_cast<std::uint32_t>(at / 4), bits);
    Size const from = std::max(at, first_feature), to = std::min(at + 4 * kQuads, end);
    std::uint32_t const* const bit = bits + (from - at);
    T const* const source = x + (from - first_feature);
    T* const target = out + (from - first_feature);
#pragma omp simd
    for (Size n = 0; n < to - from; ++n) {
      target[n] = bit[n] >= threshold ? source[n] * factor : T{0};
    }
  }
}

}  // namespace

void CpuBackend::dropout(Tensor x, DropoutMask const& mask, Tensor out, Stream& stream) const {
  launch(stream, x, [=](auto zero) {
    using T = decltype(zero);
    Rows const size = rows_of(x);
    auto const threshold = static_cast<std::uint32_t>(mask.probability * 0x1p32);
    T const factor = static_cast<T>(1 / (1 - mask.probability));
    auto const* const ordinals = mask.ordinals.data<std::int32_t>();
    auto const* const positions = mask.positions.data<std::int32_t>();
    for_each_task(size.rows, 4 * x.elements(),
                  [=, from = x.data<T>(), to = out.data<T>(), key = mask.key,
                   first = mask.first_feature](Size m) {
                    RowCounter const counter{key, static_cast<std::uint32_t>(ordinals[m]),
                                             static_cast<std::uint32_t>(positions[m])};
                    drop_row(counter, threshold, factor, first, size.features,
                             from + m * size.features, to + m * size.features);
                  });
  });
}

}  // namespace dsr::detail
