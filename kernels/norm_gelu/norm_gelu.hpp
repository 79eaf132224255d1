// SPDX-License-Identifier: Apache-2.0
#pragma once
/// LayerNorm and tanh-GELU of what it gives, over M rows of N features, bf16 with f32 statistics.
#include "kernels/common/types.hpp"

namespace dsr::kernels {

/// A row's features: what a block can hold in registers.
inline constexpr index_t kMostNormGeluFeatures = 16384;

/// gamma, beta (may be null) [features].
struct Affine {
  bf16_t const *gamma, *beta;
};

/// y = gelu((x − mean)·rstd·gamma + beta), statistics [rows, 2] = (mean, rstd).
void norm_gelu(bf16_t const* x, Affine const& affine, float eps, float* statistics, bf16_t* y,
               index_t rows, index_t features, stream_t stream);

struct NormGeluGradients {
  bf16_t* dx;             // may be dy
  float *dgamma, *dbeta;  // [features], added to; dbeta may be null
};

/// partials: norm_gelu_backward_bytes of memory.
void norm_gelu_backward(bf16_t const* dy, bf16_t const* x, float const* statistics,
                        Affine const& affine, NormGeluGradients const& gradients, void* partials,
                        index_t rows, index_t features, stream_t stream);
index_t norm_gelu_backward_bytes(index_t rows, index_t features);

}  // namespace dsr::kernels
