// SPDX-License-Identifier: Apache-2.0
/// out[t] += table[id_t], or out[t] = a[id_t] + b[id'_t]. A thread owns 8 columns and walks tokens:
/// ids of four tokens first, then their rows, so that a thread waits twice for four tokens. Bytes
/// per element: embedding 6, embedding_sum 6 (rows that several tokens have in common come from
/// L2). Numerics: f32, one rounding. Source: own.
#include "kernels/common/vectors.cuh"
#include "kernels/embedding/embedding.hpp"

namespace dsr::kernels {
namespace {

/// Features lie in blocks: [parts, tokens, width].
struct Blocks {
  index_t tokens, hidden, width;

  __device__ index_t place(index_t t, index_t f) const {
    return (f / width * tokens + t) * width + f % width;
  }
};

/// The table's row of token t, or −1.
__device__ index_t row_of(TableRows const& rows, index_t t) {
  std::int32_t const id = rows.ids[t];
  index_t const row = id - rows.first_row;
  return id < 0 || row < 0 || row >= rows.table_rows ? -1 : row;
}

__device__ uint4 vector_of(TableRows const& rows, index_t row, index_t hidden, index_t column) {
  if (row < 0) return make_uint4(0, 0, 0, 0);
  return *reinterpret_cast<uint4 const*>(rows.table + row * hidden + column);
}

/// Vectors do not cross blocks. Adds: to out, where a has a row; else out is written everywhere.
template <bool Adds>
__global__ void __launch_bounds__(256)
    embedding_kernel(TableRows a, TableRows b, bf16_t* out, Blocks blocks) {
  RowWalk walk{blocks.tokens, blocks.hidden};
  if (walk.width == 0) return;
  index_t const place = blocks.place(0, walk.column);  // of token t: t·width further
  for (; walk.more(); walk.next()) {
    index_t a_row[kFlight], b_row[kFlight];
#pragma unroll
    for (int k = 0; k < kFlight; ++k) {
      a_row[k] = walk.has(k) ? row_of(a, walk.row(k)) : -1;
      b_row[k] = !Adds && walk.has(k) ? row_of(b, walk.row(k)) : -1;
    }
    uint4 first[kFlight], second[kFlight];
#pragma unroll
    for (int k = 0; k < kFlight; ++k) {
      first[k] = vector_of(a, a_row[k], blocks.hidden, walk.column);
      if constexpr (Adds) {
        bf16_t const* const old = out + place + walk.row(k) * blocks.width;
        if (a_row[k] >= 0) second[k] = read<true>(old, kVector);
      } else {
        second[k] = vector_of(b, b_row[k], blocks.hidden, walk.column);
      }
    }
#pragma unroll
    for (int k = 0; k < kFlight; ++k) {
      if (!walk.has(k) || (Adds && a_row[k] < 0)) continue;
      float x[kVector], y[kVector];
      unpack(first[k], x);
      unpack(second[k], y);
#pragma unroll
      for (int i = 0; i < kVector; ++i) x[i] += y[i];
      write<true>(out + place + walk.row(k) * blocks.width, pack(x), kVector);
    }
  }
}

/// Any width, element by element. A block owns a token.
template <bool Adds>
__global__ void __launch_bounds__(256)
    embedding_odd_kernel(TableRows a, TableRows b, bf16_t* out, Blocks blocks) {
  index_t const t = blockIdx.x, a_row = row_of(a, t), b_row = Adds ? -1 : row_of(b, t);
  if (Adds && a_row < 0) return;
  for (index_t f = threadIdx.x; f < blocks.hidden; f += blockDim.x) {
    bf16_t& to = out[blocks.place(t, f)];
    float sum = Adds ? to_float(to) : 0.0F;
    if (a_row >= 0) sum += to_float(a.table[a_row * blocks.hidden + f]);
    if (b_row >= 0) sum += to_float(b.table[b_row * blocks.hidden + f]);
    to = to_bf16(sum);
  }
}

template <bool Adds>
void launch(TableRows const& a, TableRows const& b, bf16_t* out, Blocks const& blocks,
            stream_t stream) {
  if (blocks.width % kVector == 0 && aligned({a.table, b.table, out})) {
    auto const [grid, threads] = row_grid(blocks.tokens, blocks.hidden);
    embedding_kernel<Adds><<<grid, threads, 0, stream>>>(a, b, out, blocks);
  } else {
    auto const grid = static_cast<unsigned>(blocks.tokens);
    embedding_odd_kernel<Adds><<<grid, 256, 0, stream>>>(a, b, out, blocks);
  }
}

}  // namespace

void embedding(TableRows const& rows, bf16_t* out, int parts, index_t tokens, index_t hidden,
               stream_t stream) {
  launch<true>(rows, {}, out, {tokens, hidden, hidden / parts}, stream);
}

void embedding_sum(TableRows const& a, TableRows const& b, bf16_t* out, int parts, index_t tokens,
                   index_t hidden, stream_t stream) {
  launch<false>(a, b, out, {tokens, hidden, hidden / parts}, stream);
}

}  // namespace dsr::kernels
