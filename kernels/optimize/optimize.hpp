// SPDX-License-Identifier: Apache-2.0
#pragma once
/// The optimizer's passes over flat buffers.
#include "kernels/common/types.hpp"

namespace dsr::kernels {

/// total += Σ x², f64, fixed order. partials: kSquareBlocks doubles; one counter.
inline constexpr int kSquareBlocks = 1056;
void add_sum_of_squares(float const* x, double* total, SumMemory memory, index_t elements,
                        stream_t stream);

enum class Gradient : std::uint8_t { keep, zero };

struct AdamW {
  float scale, beta1, beta2, eps;
  float keep;  ///< 1 − lr·decay
  float rate;  ///< lr/(1 − β1ⁿ)
  float root;  ///< 1/√(1 − β2ⁿ)
  Gradient gradient;
};

/// f32 [elements] each; rounded, which may be null, is bf16.
struct AdamWBuffers {
  float *value, *gradient, *m, *v;
  bf16_t* rounded;
};
void adamw(AdamWBuffers const& buffers, AdamW const& step, index_t elements, stream_t stream);

}  // namespace dsr::kernels
