// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Table look-up where a rank owns some rows of the table; and its deterministic backward.
///
///     fill(out, 0, s);
///     embedding(tokens, table, first_row, out, s);  embedding(positions, …, out, s);
#include "dsr/core/stream.hpp"
#include "dsr/core/tensor.hpp"

namespace dsr {

/// Adds the rows that this rank owns: out[:, t, :] += table[ids[t] − first_row] where that is a row
/// of the table.
///
/// Shapes      ids [T] i32 (negative: nothing is added), table [rows, H], out [P, T, H/P]: features
///             in P blocks, so that a feature collective can take them as they lie
void embedding(Tensor ids, Tensor table, Size first_row, Tensor out, Stream& stream);

/// dtable[ids[t] − first_row] += dx[:, t, :], in the order of t: the same bits twice.
void embedding_backward(Tensor ids, Size first_row, Tensor dx, Tensor dtable, Stream& stream);

}  // namespace dsr
