// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Cross entropy where a rank owns some columns of the logits: maximum, sums and gradient in three
/// passes, with a reduction over the group after the first and the second. M tokens, V local
/// columns, the first `valid` of which are real (the others are padding: their probability and
/// gradient are 0).
///
///     logits_max(logits, valid, top, s);
///     all_reduce(top, Reduce::max, group, s);
///     logits_exp(logits, valid, top, targets, first, sums, s);
///     all_reduce(sums, Reduce::sum, group, s);
///     add_cross_entropy(sums, targets, loss, s);
///     logits_gradient(logits, valid, sums, targets, first, s);
#include "dsr/core/stream.hpp"
#include "dsr/core/tensor.hpp"

namespace dsr {

/// top [M] = max over the valid columns of logits [M, V]; −∞ if valid is 0.
void logits_max(Tensor logits, Size valid, Tensor top, Stream& stream);

/// logits ← exp(logits − top), 0 in padding, in place; sums [M, 2] = (Σ over columns, logit − top
/// of the target if this rank owns it, else 0). targets [M] i32, global; first: the global number
/// of column 0.
void logits_exp(Tensor logits, Size valid, Tensor top, Tensor targets, Size first, Tensor sums,
                Stream& stream);

/// loss [1] f64 += Σ over tokens with target >= 0 of log(sums[:, 0]) − sums[:, 1], which is the
/// cross entropy.
void add_cross_entropy(Tensor sums, Tensor targets, Tensor loss, Stream& stream);

/// After logits_exp: logits ← softmax − one_hot(target), the gradient of the summed loss, in place;
/// 0 in padding and in rows whose target is negative.
void logits_gradient(Tensor logits, Size valid, Tensor sums, Tensor targets, Size first,
                     Stream& stream);

/// All four for a rank that owns every column, in one pass over memory: loss += the summed cross
/// entropy, logits ← its gradient in place. sums [M, 2] is scratch.
void cross_entropy(Tensor logits, Size valid, Tensor targets, Tensor sums, Tensor loss,
                   Stream& stream);

}  // namespace dsr
