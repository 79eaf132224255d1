// SPDX-License-Identifier: Apache-2.0
#pragma once
/// norm_backward_sums for rows of 1025 to 2048 features, several of them side by side in a block.
#include "kernels/common/types.hpp"

namespace dsr::kernels {

inline constexpr index_t kShortFeatures = 2048;

struct ShortRows {
  bf16_t const *dy, *x;
  float const* statistics;
  bf16_t const* gamma;
  float* sums;      // [rows, 2]
  float* partials;  // [2, blocks, features], as norm_partial_bytes
  index_t rows, features;
};

/// Whether short_rows_sums takes this call.
bool are_short_rows(ShortRows const& call);
/// dgamma and dbeta (may be null) are added to.
void short_rows_sums(ShortRows const& call, float* dgamma, float* dbeta, stream_t stream);

}  // namespace dsr::kernels
