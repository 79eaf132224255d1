// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Table look-up, and its backward without atomics.
#include "kernels/common/types.hpp"

namespace dsr::kernels {

/// out [parts, tokens, hidden/parts] += table[ids[t] − first_row] where that is one of `table_rows` rows.
void embedding(std::int32_t const* ids, bf16_t const* table, index_t first_row, index_t table_rows, bf16_t* out,
               int parts, index_t tokens, index_t hidden, stream_t stream);

/// dtable [table_rows, hidden] f32 += dx, rows with the same id added in the order of t. `memory`:
/// embedding_backward_bytes(tokens).
void embedding_backward(std::int32_t const* ids, index_t first_row, index_t table_rows, bf16_t const* dx, float* dtable,
                        int parts, index_t tokens, index_t hidden, void* memory, stream_t stream);
index_t embedding_backward_bytes(index_t tokens);

}  // namespace dsr::kernels
