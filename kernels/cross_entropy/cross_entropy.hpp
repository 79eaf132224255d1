// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Softmax cross entropy over bf16 logits in place, where a rank owns `columns` columns of which `valid` are real.
#include "kernels/common/types.hpp"

namespace dsr::kernels {

void logits_max(bf16_t const* logits, float* top, index_t rows, index_t columns, index_t valid, stream_t stream);

/// logits ← exp(logits − top), sums [rows, 2] = (Σ, logit − top of the target if it is here). The exponentials are summed
/// before they are rounded.
void logits_exp(bf16_t* logits, float const* top, std::int32_t const* targets, index_t first, float* sums, index_t rows,
                index_t columns, index_t valid, stream_t stream);

/// loss += Σ over rows with a target of log(sums₀) − sums₁, in f64 and a fixed order.
void add_cross_entropy(float const* sums, std::int32_t const* targets, double* loss, index_t rows, stream_t stream);

/// After logits_exp: logits ← logits/sums₀ − [target], 0 in padding and in rows without a target.
void logits_gradient(bf16_t* logits, float const* sums, std::int32_t const* targets, index_t first, index_t rows,
                     index_t columns, index_t valid, stream_t stream);

/// logits_max, logits_exp and logits_gradient of rows that are here whole: sums as of logits_exp.
void softmax_gradient(bf16_t* logits, std::int32_t const* targets, float* sums, index_t rows, index_t columns,
                      index_t valid, stream_t stream);

}  // namespace dsr::kernels
