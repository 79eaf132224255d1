// SPDX-License-Identifier: Apache-2.0
#pragma once
/// LayerNorm over M rows of N features, bf16 with f32 statistics, whole or in halves where rows are cut over ranks.
#include "kernels/common/types.hpp"

namespace dsr::kernels {

/// Local features of a row: what a block can hold in registers.
inline constexpr index_t kMostFeatures = 16384;

/// branch += sum (may be null); moments [rows, 2] = (mean, Σ(x − mean)²) of branch's rows.
void residual_moments(bf16_t const* sum, bf16_t* branch, float* moments, index_t rows, index_t features,
                      stream_t stream);

/// gathered [parts, rows, 2] → statistics [rows, 2] = (mean, 1/√(M2/(parts·features) + eps)), by Chan's formula.
void merge_moments(float const* gathered, float* statistics, int parts, index_t rows, index_t features, float eps,
                   stream_t stream);

/// y = (x − mean)·rstd·gamma + beta (may be null).
void normalize(bf16_t const* x, float const* statistics, bf16_t const* gamma, bf16_t const* beta, bf16_t* y,
               index_t rows, index_t features, stream_t stream);

/// residual_moments, merge_moments of one part and normalize in one pass.
void residual_norm(bf16_t const* sum, bf16_t* branch, bf16_t const* gamma, bf16_t const* beta, float eps,
                   float* statistics, bf16_t* y, index_t rows, index_t features, stream_t stream);

/// sums [rows, 2] = (Σ dy·gamma, Σ dy·gamma·x̂), dgamma += Σ_rows dy·x̂, dbeta (may be null) += Σ_rows dy, in one pass.
void norm_backward_sums(bf16_t const* dy, bf16_t const* x, float const* statistics, bf16_t const* gamma, float* sums,
                        float* dgamma, float* dbeta, void* partials, index_t rows, index_t features, stream_t stream);
/// Of partials, here and below.
index_t norm_partial_bytes(index_t rows, index_t features);

/// dx = rstd·(dy·gamma − (sums₀ + x̂·sums₁)/whole_features) + dresidual (may be null).
void norm_backward(bf16_t const* dy, bf16_t const* x, float const* statistics, bf16_t const* gamma, float const* sums,
                   index_t whole_features, bf16_t const* dresidual, bf16_t* dx, index_t rows, index_t features,
                   stream_t stream);

/// norm_backward_sums and norm_backward of whole rows in one pass.
void whole_norm_backward(bf16_t const* dy, bf16_t const* x, float const* statistics, bf16_t const* gamma,
                         bf16_t const* dresidual, bf16_t* dx, float* dgamma, float* dbeta, void* partials, index_t rows,
                         index_t features, stream_t stream);

}  // namespace dsr::kernels
