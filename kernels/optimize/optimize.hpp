// SPDX-License-Identifier: Apache-2.0
#pragma once
/// The optimizer's passes over flat buffers.
#include "kernels/common/types.hpp"

namespace dsr::kernels {

/// total += Σ x², f64, fixed order. partials: kSquareBlocks doubles.
inline constexpr int kSquareBlocks = 528;
void add_sum_of_squares(float const* x, double* total, double* partials, index_t elements, stream_t stream);

struct AdamW {
  float scale, beta1, beta2, eps;
  float keep;  ///< 1 − lr·decay
  float rate;  ///< lr/(1 − β1ⁿ)
  float root;  ///< 1/√(1 − β2ⁿ)
};
/// rounded may be null.
void adamw(float* value, float const* gradient, float* m, float* v, bf16_t* rounded, AdamW const& step,
           index_t elements, stream_t stream);

}  // namespace dsr::kernels
