// SPDX-License-Identifier: Apache-2.0
/// y = gelu((x − mean)·rstd·gamma + beta). A block owns a row and holds it in registers as it came,
/// up to 8 pieces of 16 bytes a thread, all in flight together; rows of at most 2048 features need
/// one warp and no barrier, and a block takes two of them. Bytes per element: 4. Numerics: f32; mean first, then Σ(x − mean)² from
/// registers. Source: Ba et al. 2016, arXiv:1607.06450; kernels/common/gelu.cuh.
#include <type_traits>

#include "kernels/common/gelu.cuh"
#include "kernels/common/vectors.cuh"
#include "kernels/norm_gelu/norm_gelu.hpp"

namespace dsr::kernels {
namespace {

constexpr int kMostThreads = 256;
static_assert(kMostNormGeluFeatures == index_t{8} * kVector * kMostThreads);

__device__ float reduce_row(float x, float* shared) {
  if (blockDim.x > 32) return reduce_block<Sum>(x, shared);
#pragma unroll
  for (int offset = 16; offset > 0; offset /= 2) x += __shfl_xor_sync(0xFFFFFFFFU, x, offset);
  return x;
}

struct Call {
  bf16_t const* x;
  Affine affine;
  float eps;
  float* statistics;
  bf16_t* y;
  index_t rows, features;
};

template <int Pieces, bool Aligned>
__global__ void __launch_bounds__(kMostThreads, 2) norm_gelu_kernel(Call call) {
  __shared__ float shared[32];
  index_t const row = static_cast<index_t>(blockIdx.x) * blockDim.y + threadIdx.y;
  if (row >= call.rows) return;  // a whole warp, of rows that need no barrier
  index_t const at = row * call.features;
  uint4 in[Pieces];
  index_t const first = threadIdx.x * kVector, step = blockDim.x * kVector;
  auto const width = [&](int p) {
    index_t const left = call.features - first - p * step;
    return static_cast<int>(left < 0 ? 0 : left < kVector ? left : kVector);
  };
#pragma unroll
  for (int p = 0; p < Pieces; ++p) {
    in[p] = make_uint4(0, 0, 0, 0);
    if (width(p) > 0) in[p] = read<Aligned>(call.x + at + first + p * step, width(p));
  }
  float sum = 0, squares = 0, v[kVector];
#pragma unroll
  for (int p = 0; p < Pieces; ++p) {
    unpack(in[p], v);  // zeros beyond the row
#pragma unroll
    for (int i = 0; i < kVector; ++i) sum += v[i];
  }
  float const mean = reduce_row(sum, shared) / static_cast<float>(call.features);
#pragma unroll
  for (int p = 0; p < Pieces; ++p) {
    unpack(in[p], v);
#pragma unroll
    for (int i = 0; i < kVector; ++i) {
      if (Aligned ? width(p) > 0 : i < width(p)) squares += (v[i] - mean) * (v[i] - mean);
    }
  }
  squares = reduce_row(squares, shared);
  float const rstd = rsqrtf(squares / static_cast<float>(call.features) + call.eps);
  if (threadIdx.x == 0) {
    call.statistics[2 * row] = mean;
    call.statistics[2 * row + 1] = rstd;
  }
#pragma unroll
  for (int p = 0; p < Pieces; ++p) {
    if (width(p) == 0) continue;
    index_t const column = first + p * step;
    float g[kVector], b[kVector] = {};
    unpack(in[p], v);
    unpack(read_shared<Aligned>(call.affine.gamma + column, width(p)), g);
    if (call.affine.beta != nullptr) {
      unpack(read_shared<Aligned>(call.affine.beta + column, width(p)), b);
    }
#pragma unroll
    for (int i = 0; i < kVector; ++i) v[i] = gelu_of((v[i] - mean) * rstd * g[i] + b[i]);
    write_away<Aligned>(call.y + at + column, pack(v), width(p));
  }
}

}  // namespace

void norm_gelu(bf16_t const* x, Affine const& affine, float eps, float* statistics, bf16_t* y,
               index_t rows, index_t features, stream_t stream) {
  Call const call{x, affine, eps, statistics, y, rows, features};
  index_t const vectors = (features + kVector - 1) / kVector;
  auto const with = [&](auto pieces) {
    auto const wide = static_cast<unsigned>((vectors + pieces * 32 - 1) / (pieces * 32) * 32);
    dim3 const threads{wide, wide == 32 ? 2U : 1U};
    auto const blocks = static_cast<unsigned>((rows + threads.y - 1) / threads.y);
    if (features % kVector == 0 && aligned({x, affine.gamma, affine.beta, y})) {
      norm_gelu_kernel<pieces(), true><<<blocks, threads, 0, stream>>>(call);
    } else {
      norm_gelu_kernel<pieces(), false><<<blocks, threads, 0, stream>>>(call);
    }
  };
  if (vectors <= 32)
    with(std::integral_constant<int, 1>{});
  else if (vectors <= 64)
    with(std::integral_constant<int, 2>{});
  else if (vectors <= 128)
    with(std::integral_constant<int, 4>{});
  else
    with(std::integral_constant<int, 8>{});
}

}  // namespace dsr::kernels
