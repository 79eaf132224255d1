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
///             groups·n·D]; log_sum [groups·n, T]: log Σ exp of the scaled scores. sequence_starts
///             [B + 1] i32 on the host.
/// Numerics    rows of y outside every sequence (padding) are zero
void attention(Tensor qkv, Tensor sequence_starts, Tensor y, Tensor log_sum, Stream& stream);

/// dqkv from dy, with y and log_sum of the forward pass. Every element of dqkv is written (padding:
/// zero).
void attention_backward(Tensor qkv, Tensor sequence_starts, Tensor y, Tensor log_sum, Tensor dy,
                        Tensor dqkv, Stream& stream);

}  // namespace dsr
