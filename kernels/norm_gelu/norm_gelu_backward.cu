// SPDX-License-Identifier: Apache-2.0
/// With x̂ = (x − mean)·rstd, e = dy·gelu'(x̂·gamma + beta) and d = e·gamma: dx = rstd·(d − (Σd +
/// x̂·Σd·x̂)/features), dgamma[f] += Σ_rows e·x̂, dbeta[f] += Σ_rows e. A block takes rows two at a
/// time (one, beyond 4096 features), a thread the same columns of each, whose sums stay in
/// registers; the next two are in flight while two are worked on. Each block writes its column sums
/// once, and add_partials adds those of all blocks. Bytes per element: 6. Numerics: f32, fixed
/// order. Source: the derivative of LayerNorm; kernels/common/gelu.cuh.
#include <type_traits>

#include "kernels/common/column_sums.cuh"
#include "kernels/common/gelu.cuh"
#include "kernels/common/vectors.cuh"
#include "kernels/norm_gelu/norm_gelu.hpp"

namespace dsr::kernels {
namespace {

constexpr int kMostThreads = 512;
static_assert(kMostNormGeluFeatures == index_t{4} * kVector * kMostThreads);

struct Call {
  bf16_t const *dy, *x;
  float const* statistics;
  Affine affine;
  bf16_t* dx;
  float* partials;  // [2, blocks, features]
  index_t rows, features;
};

constexpr int kMostWarps = kMostThreads / 32;

/// Two sums for each of one or two rows over the block, on every thread. `shared`, zero beyond the
/// block's warps, is not the piece of the call before, so that one barrier is enough.
template <int Rows>
__device__ void reduce_rows(float (&sums)[Rows][2], float4 (&shared)[kMostWarps]) {
#pragma unroll
  for (int i = 0; i < 2 * Rows; ++i) {
    float& sum = sums[i / 2][i % 2];
#pragma unroll
    for (int offset = 16; offset > 0; offset /= 2) sum += __shfl_xor_sync(0xFFFFFFFFU, sum, offset);
  }
  constexpr int kSecond = Rows - 1;
  if (threadIdx.x % 32 == 0) {
    shared[threadIdx.x / 32] =
        make_float4(sums[0][0], sums[0][1], sums[kSecond][0], sums[kSecond][1]);
  }
  __syncthreads();
  float4 all = make_float4(0, 0, 0, 0);
  int const warps = static_cast<int>(blockDim.x) / 32;
  for (int w = 0; w < warps; w += 4) {
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      float4 const part = shared[w + k];
      all.x += part.x;
      all.y += part.y;
      all.z += part.z;
      all.w += part.w;
    }
  }
  sums[kSecond][0] = all.z;
  sums[kSecond][1] = all.w;
  sums[0][0] = all.x;
  sums[0][1] = all.y;
}

/// A thread's part of all rows: Pieces vectors, a block's width apart.
template <int Pieces, bool Aligned>
struct Columns {
  index_t features;

  __device__ index_t at(int p) const {
    return (p * static_cast<index_t>(blockDim.x) + threadIdx.x) * kVector;
  }
  __device__ int width(int p) const {
    index_t const left = features - at(p);
    return static_cast<int>(left < 0 ? 0 : left < kVector ? left : kVector);
  }
  /// Zeros where there is no row or no column.
  __device__ uint4 fetch(bf16_t const* x, index_t row, index_t rows, int p) const {
    if (row >= rows || width(p) == 0) return make_uint4(0, 0, 0, 0);
    return read<Aligned>(x + row * features + at(p), width(p));
  }
  /// A row of weights, zeros if there are none.
  __device__ uint4 weights(bf16_t const* from, int p) const {
    if (from == nullptr || width(p) == 0) return make_uint4(0, 0, 0, 0);
    return read_shared<Aligned>(from + at(p), width(p));
  }
};

/// What is read of some rows.
template <int Pieces, int Rows, bool Aligned>
struct Fetched {
  uint4 dy[Rows][Pieces], x[Rows][Pieces];
  // Mean in even lanes, rstd in odd ones: what all lanes load alike goes to a uniform register, and
  // waiting for that would make every fetch ahead wait for its memory.
  float statistic[Rows];
  float mean[Rows], rstd[Rows];

  /// Gives every lane both, once they are needed.
  __device__ void spread() {
#pragma unroll
    for (int r = 0; r < Rows; ++r) {
      mean[r] = __shfl_sync(0xFFFFFFFFU, statistic[r], 0);
      rstd[r] = __shfl_sync(0xFFFFFFFFU, statistic[r], 1);
    }
  }

  __device__ void fetch(Call const& call, Columns<Pieces, Aligned> const& columns, index_t first) {
#pragma unroll
    for (int r = 0; r < Rows; ++r) {
      index_t const row = first + r, known = row < call.rows ? row : 0;
      statistic[r] = call.statistics[2 * known + threadIdx.x % 2];
#pragma unroll
      for (int p = 0; p < Pieces; ++p) {
        dy[r][p] = columns.fetch(call.dy, row, call.rows, p);
        x[r][p] = columns.fetch(call.x, row, call.rows, p);
      }
    }
  }
};

/// A thread's state while its block goes through rows.
template <int Pieces, int Rows, bool Aligned>
struct Worker {
  Columns<Pieces, Aligned> columns;
  float by_x[Pieces][kVector] = {}, by_one[Pieces][kVector] = {};
  uint4 gamma, beta;  // where a thread has one piece: longer rows fill the registers by themselves

  __device__ Worker(Call const& call) : columns{call.features} {
    gamma = columns.weights(call.affine.gamma, 0);
    beta = columns.weights(call.affine.beta, 0);
  }

  /// d of some rows, and their parts of all sums.
  __device__ void sum(Call const& call, Fetched<Pieces, Rows, Aligned> const& in,
                      float (&d)[Rows][Pieces][kVector], float (&sums)[Rows][2]) {
#pragma unroll
    for (int p = 0; p < Pieces; ++p) {
      float g[kVector], b[kVector];
      unpack(Pieces == 1 ? gamma : columns.weights(call.affine.gamma, p), g);
      unpack(Pieces == 1 ? beta : columns.weights(call.affine.beta, p), b);
#pragma unroll
      for (int r = 0; r < Rows; ++r) {
        float x[kVector];
        unpack(in.x[r][p], x);
        unpack(in.dy[r][p], d[r][p]);
#pragma unroll
        for (int i = 0; i < kVector; ++i) {
          float const normal = (x[i] - in.mean[r]) * in.rstd[r];
          float const e = d[r][p][i] * gelu_slope(normal * g[i] + b[i]);
          by_x[p][i] += e * normal;
          by_one[p][i] += e;
          d[r][p][i] = e * g[i];
          sums[r][0] += d[r][p][i];
          sums[r][1] += d[r][p][i] * normal;
        }
      }
    }
  }

  __device__ void write_dx(Call const& call, Fetched<Pieces, Rows, Aligned> const& in,
                           float const (&d)[Rows][Pieces][kVector], float const (&sums)[Rows][2],
                           index_t first) const {
    float const per_feature = 1.0F / static_cast<float>(call.features);
#pragma unroll
    for (int r = 0; r < Rows; ++r) {
      if (first + r >= call.rows) continue;
      float const mean_d = sums[r][0] * per_feature, mean_x = sums[r][1] * per_feature;
#pragma unroll
      for (int p = 0; p < Pieces; ++p) {
        if (columns.width(p) == 0) continue;
        float x[kVector];
        unpack(in.x[r][p], x);
#pragma unroll
        for (int i = 0; i < kVector; ++i) {
          float const normal = (x[i] - in.mean[r]) * in.rstd[r];
          x[i] = in.rstd[r] * (d[r][p][i] - (mean_d + normal * mean_x));
        }
        write_away<Aligned>(call.dx + (first + r) * call.features + columns.at(p), pack(x),
                       columns.width(p));
      }
    }
  }

  __device__ void write_partials(Call const& call) const {
#pragma unroll
    for (int p = 0; p < Pieces; ++p) {
      float* const first = call.partials + blockIdx.x * call.features + columns.at(p);
      float* const second = first + gridDim.x * call.features;
      int const width = columns.width(p);
      if (Aligned && width == kVector) {
        store(first, by_x[p]);
        store(second, by_one[p]);
        continue;
      }
#pragma unroll
      for (int i = 0; i < kVector; ++i) {
        if (i >= width) continue;
        first[i] = by_x[p][i];
        second[i] = by_one[p][i];
      }
    }
  }
};

template <int Pieces, int Rows, bool Aligned>
__global__ void __launch_bounds__(kMostThreads) norm_gelu_backward_kernel(Call call) {
  __shared__ float4 shared[2][kMostWarps];
  if (threadIdx.x < 2 * kMostWarps) {
    shared[threadIdx.x / kMostWarps][threadIdx.x % kMostWarps] = make_float4(0, 0, 0, 0);
  }
  __syncthreads();
  Worker<Pieces, Rows, Aligned> worker{call};
  index_t const step = static_cast<index_t>(gridDim.x) * Rows;
  index_t row = static_cast<index_t>(blockIdx.x) * Rows;
  Fetched<Pieces, Rows, Aligned> next;
  next.fetch(call, worker.columns, row);
  for (int turn = 0; row < call.rows; row += step, turn ^= 1) {
    Fetched<Pieces, Rows, Aligned> now = next;
    now.spread();
    next.fetch(call, worker.columns, row + step);
    float d[Rows][Pieces][kVector], sums[Rows][2] = {};
    worker.sum(call, now, d, sums);
    reduce_rows(sums, shared[turn]);
    worker.write_dx(call, now, d, sums, row);
  }
  worker.write_partials(call);
}

struct Launch {
  int pieces;
  unsigned threads, blocks;
};

/// As many blocks as run at the same time with 128 registers a thread, so that all have the same
/// number of rows.
Launch launch_for(index_t rows, index_t features) {
  index_t const vectors = (features + kVector - 1) / kVector;
  int const pieces = vectors <= 512 ? 1 : vectors <= 1024 ? 2 : 4, together = pieces == 1 ? 2 : 1;
  auto const threads = static_cast<unsigned>((vectors + pieces * 32 - 1) / (pieces * 32) * 32);
  index_t const most = (rows + together - 1) / together;
  index_t const wanted = index_t{132} * (kMostThreads / static_cast<int>(threads));
  return {pieces, threads, static_cast<unsigned>(most < wanted ? most : wanted)};
}

}  // namespace

index_t norm_gelu_backward_bytes(index_t rows, index_t features) {
  return index_t{8} * launch_for(rows, features).blocks * features;
}

void norm_gelu_backward(bf16_t const* dy, bf16_t const* x, float const* statistics,
                        Affine const& affine, NormGeluGradients const& gradients, void* partials,
                        index_t rows, index_t features, stream_t stream) {
  Launch const launch = launch_for(rows, features);
  auto* const parts = static_cast<float*>(partials);
  Call const call{dy, x, statistics, affine, gradients.dx, parts, rows, features};
  auto const with = [&](auto pieces) {
    constexpr int kTogether = pieces() == 1 ? 2 : 1;
    if (features % kVector == 0 && aligned({dy, x, affine.gamma, affine.beta, gradients.dx})) {
      norm_gelu_backward_kernel<pieces(), kTogether, true>
          <<<launch.blocks, launch.threads, 0, stream>>>(call);
    } else {
      norm_gelu_backward_kernel<pieces(), kTogether, false>
          <<<launch.blocks, launch.threads, 0, stream>>>(call);
    }
  };
  if (launch.pieces == 1)
    with(std::integral_constant<int, 1>{});
  else if (launch.pieces == 2)
    with(std::integral_constant<int, 2>{});
  else
    with(std::integral_constant<int, 4>{});
  auto const slices = static_cast<int>(launch.blocks);
  add_partials(parts, gradients.dgamma, gradients.dbeta, slices, features, stream);
}

}  // namespace dsr::kernels
