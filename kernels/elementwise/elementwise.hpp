// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Passes over memory without rows: fill, add, scale; bias, GELU and dropout over M rows of N
/// features. Addresses that are no multiple of 16 bytes, and rows that are no multiple of 8
/// features, are taken element by element.
#include "kernels/common/types.hpp"

namespace dsr::kernels {

/// x[i] = the `element_bytes` low bytes of `pattern`; element_bytes is 1, 2, 4 or 8.
void fill(void* x, std::uint64_t pattern, index_t elements, int element_bytes, stream_t stream);

void add(bf16_t const* a, bf16_t const* b, bf16_t* out, index_t elements, stream_t stream);
void add(float const* a, float const* b, float* out, index_t elements, stream_t stream);
void add(double const* a, double const* b, double* out, index_t elements, stream_t stream);
void scale(bf16_t* x, float factor, index_t elements, stream_t stream);
void scale(float* x, float factor, index_t elements, stream_t stream);
void scale(double* x, double factor, index_t elements, stream_t stream);

/// y [rows, features] += bias [features].
void add_bias(bf16_t* y, bf16_t const* bias, index_t rows, index_t features, stream_t stream);

/// h += bias (may be null), y = gelu(h), tanh form.
void gelu(bf16_t* h, bf16_t const* bias, bf16_t* y, index_t rows, index_t features,
          stream_t stream);

/// dh = dy · gelu'(h); dh may be dy. dbias (may be null) [features] f32 += column sums of dh before
/// rounding.
void gelu_backward(bf16_t const* h, bf16_t const* dy, bf16_t* dh, float* dbias, SumMemory memory,
                   index_t rows, index_t features, stream_t stream);

/// sums [features] f32 += column sums of x [rows, features].
void add_column_sums(bf16_t const* x, float* sums, SumMemory memory, index_t rows, index_t features,
                     stream_t stream);

/// What these sums need: bytes of partials for `columns` results, and counters.
index_t column_sum_bytes(index_t rows, index_t features, int columns);
index_t column_sum_counters(index_t features);

struct Dropout {
  std::uint32_t key_low = 0, key_high = 0;
  std::uint32_t threshold = 0;  ///< kept if the random word is at least this
  float factor = 1;             ///< of what is kept
  std::int32_t const* ordinals = nullptr;
  std::int32_t const* positions = nullptr;
  index_t first_feature = 0;
};
void dropout(bf16_t const* x, bf16_t* out, Dropout const& mask, index_t rows, index_t features,
             stream_t stream);

}  // namespace dsr::kernels
