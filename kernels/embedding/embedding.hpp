// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Table look-up, and its backward without atomics.
#include "kernels/common/types.hpp"

namespace dsr::kernels {

/// Row ids[t] − first_row of table [table_rows, hidden] for token t, if there is one.
struct TableRows {
  std::int32_t const* ids;
  bf16_t const* table;
  index_t first_row, table_rows;
};

/// out [parts, tokens, hidden/parts] += rows.
void embedding(TableRows const& rows, bf16_t* out, int parts, index_t tokens, index_t hidden,
               stream_t stream);

/// out [parts, tokens, hidden/parts] = rows of a + rows of b, zeros where there are none.
void embedding_sum(TableRows const& a, TableRows const& b, bf16_t* out, int parts, index_t tokens,
                   index_t hidden, stream_t stream);

/// What is added to which row of dtable.
struct TokenGradients {
  std::int32_t const* ids;
  bf16_t const* dx;  // [parts, tokens, hidden/parts]
  int parts;
  index_t tokens, hidden;
};

/// dtable [table_rows, hidden] f32 += dx; the tokens of a row are added in an order that depends on
/// ids alone. `memory`: embedding_backward_bytes.
void embedding_backward(TokenGradients const& tokens, index_t first_row, index_t table_rows,
                        float* dtable, void* memory, stream_t stream);
index_t embedding_backward_bytes(index_t tokens, index_t hidden);

}  // namespace dsr::kernels
