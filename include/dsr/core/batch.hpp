// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Batch: the tokens of one micro-batch of one replica, whole on each of the replica's ranks.
///
/// T is the number of tokens padded to a multiple of R; padding has token and target -1.
#include "dsr/core/tensor.hpp"

namespace dsr {

/// All views; the Loader owns the memory. T: tokens, B: sequences.
struct Batch {
  Tensor tokens;     ///< [T] i32, -1 in padding
  Tensor targets;    ///< [T] i32, -1: ignored
  Tensor positions;  ///< [T] i32, place in its sequence, 0 in padding
  Tensor ordinals;   ///< [T] i32, number of the token's sequence in the step over the whole job
  Tensor sequence_starts;  ///< [B + 1] i32 on the host: first token of each sequence, then the end
                           ///< of the last
  Size counted = 0;        ///< tokens with a target
};

}  // namespace dsr
