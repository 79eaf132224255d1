// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Causal attention over whole heads, packed. Blockwise softmax: memory O(S·D) per head; no S×S
/// matrix is kept.
///
///     attention(qkv, batch.sequence_starts, y, log_sum, stream);
///
/// Source: Dao et al. 2022, arXiv:2205.14135 (FlashAttention); Milakov and Gimelshein 2018,
/// arXiv:1805.02867.
#include "dsr/core/stream.hpp"
#include "dsr/core/tensor.hpp"

namespace dsr {

/// y = softmax(q·kᵀ/√D, causal within each sequence)·v.
///
/// Shapes      qkv [T, groups, n + 2, D]: n query heads, then their key, then their value; y [T,
///             groups·n·D]; log_sum [groups·n, T]: log Σ exp of the scaled scores, on CUDA in an
///             order of cuDNN's, for attention_backward alone. sequence_starts [B + 1] i32 on the
///             host
/// Types       f32 or f64; on CUDA bf16, with log_sum f32 and D a multiple of 8, at most 128 (256 on
///             Hopper)
/// Cost        on CUDA one call for each run of equal sequences, and a plan for each new length
/// Numerics    rows of y outside every sequence (padding) are zero
void attention(Tensor qkv, Tensor sequence_starts, Tensor y, Tensor log_sum, Stream& stream);

/// dqkv from dy, with y and log_sum of the forward pass. Every element of dqkv is written (padding:
/// zero).
void attention_backward(Tensor qkv, Tensor sequence_starts, Tensor y, Tensor log_sum, Tensor dy,
                        Tensor dqkv, Stream& stream);

}  // namespace dsr
