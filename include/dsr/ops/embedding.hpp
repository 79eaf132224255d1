// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Table look-up where a rank owns some rows of the table; and its deterministic backward.
///
///     embedding_sum({tokens, table, first_row}, {positions, other, other_first}, out, s);
///     embedding(more, third, 0, out, s);                       // adds to what is there
#include "dsr/core/stream.hpp"
#include "dsr/core/tensor.hpp"

namespace dsr {

/// Adds the rows that this rank owns: out[:, t, :] += table[ids[t] − first_row] where that is a row
/// of the table.
///
/// Shapes      ids [T] i32 (negative: nothing is added), table [rows, H], out [P, T, H/P]: features
///             in P blocks, so that a feature collective can take them as they lie
void embedding(Tensor ids, Tensor table, Size first_row, Tensor out, Stream& stream);

/// Rows of a table by number: row ids[t] − first_row for token t, and zeros where there is none.
struct LookUp {
  Tensor ids, table;  ///< [T] i32, [rows, H]
  Size first_row = 0;
};

/// out[:, t, :] = a's row for t + b's row for t: one pass that reads nothing of out. Shapes as for
/// embedding.
void embedding_sum(LookUp const& a, LookUp const& b, Tensor out, Stream& stream);

/// dtable[ids[t] − first_row] += dx[:, t, :], in an order that depends on ids alone: the same bits
/// twice.
void embedding_backward(Tensor ids, Size first_row, Tensor dx, Tensor dtable, Stream& stream);

}  // namespace dsr
