// SPDX-License-Identifier: Apache-2.0
/// Sums of LayerNorm backward where rows are cut over ranks, for parts of 1025 to 2048 features:
/// with x̂ = (x − mean)·rstd and d = dy·gamma, sums = (Σd, Σd·x̂) of each row, dgamma += Σ_rows dy·x̂,
/// dbeta += Σ_rows dy. A block has three groups of 256 threads, each of which takes three rows at a
/// time; nothing but a row's two sums leaves a group, so a barrier every three rows is enough. At
/// the end the groups' column sums become one, and add_partials adds those of all blocks. Bytes per
/// element: 4. Numerics: f32, fixed order. Source: the derivative of LayerNorm.
#include "kernels/common/column_sums.cuh"
#include "kernels/common/vectors.cuh"
#include "kernels/norm/short_rows.cuh"

namespace dsr::kernels {
namespace {

constexpr int kLanes = 256, kGroups = 3, kRows = 3, kWarps = kLanes / 32, kFold = 1024;
constexpr unsigned kBlocks = 132;  // one on each multiprocessor of a Hopper GPU
static_assert(kShortFeatures == kLanes * kVector && kShortFeatures % kFold == 0);

/// All threads of a group have come here; numbers from 1 on, since 0 is that of __syncthreads.
__device__ void group_barrier(int group) {
  asm volatile("bar.sync %0, %1;" ::"r"(group + 1), "r"(kLanes) : "memory");
}

struct Columns {
  float by_x[kVector] = {}, by_one[kVector] = {};
};

/// The first group's sums become those of all groups, in their order; kFold columns at a time.
__device__ void fold(Columns& mine, index_t column, int group) {
  __shared__ alignas(16) float others[kGroups - 1][2][kFold];
  for (index_t first = 0; first < kShortFeatures; first += kFold) {
    bool const here = column / kFold * kFold == first;
    int const at = static_cast<int>(column - first);
    __syncthreads();
    if (here && group > 0) {
      store(&others[group - 1][0][at], mine.by_x);
      store(&others[group - 1][1][at], mine.by_one);
    }
    __syncthreads();
    if (!here || group > 0) continue;
#pragma unroll
    for (int g = 0; g + 1 < kGroups; ++g) {
#pragma unroll
      for (int i = 0; i < kVector; ++i) {
        mine.by_x[i] += others[g][0][at + i];
        mine.by_one[i] += others[g][1][at + i];
      }
    }
  }
}

__global__ void __launch_bounds__(kLanes* kGroups, 1) short_sums_kernel(ShortRows call) {
  __shared__ float2 of_warps[2][kGroups][kRows][kWarps];
  int const lane = static_cast<int>(threadIdx.x) % kLanes, group = static_cast<int>(threadIdx.x) / kLanes;
  index_t const column = static_cast<index_t>(lane) * kVector;
  index_t const step = static_cast<index_t>(gridDim.x) * kGroups;
  bool const has = column < call.features;
  Columns columns;
  float gamma[kVector] = {};
  if (has) unpack(read_shared<true>(call.gamma + column, kVector), gamma);
  int turn = 0;
  for (index_t first = static_cast<index_t>(blockIdx.x) * kGroups + group; first < call.rows;
       first += kRows * step, turn ^= 1) {
    uint4 dy[kRows], x[kRows];
    float statistic[kRows];  // mean in even lanes, rstd in odd ones
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      index_t const row = first + r * step, at = row * call.features + column;
      dy[r] = x[r] = make_uint4(0, 0, 0, 0);
      statistic[r] = row < call.rows ? call.statistics[2 * row + threadIdx.x % 2] : 0;
      if (row >= call.rows || !has) continue;
      dy[r] = read<true>(call.dy + at, kVector);
      x[r] = read<true>(call.x + at, kVector);
    }
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      float d[kVector], v[kVector];
      unpack(dy[r], d);
      unpack(x[r], v);
      float const mean = __shfl_sync(0xFFFFFFFFU, statistic[r], 0);
      float const rstd = __shfl_sync(0xFFFFFFFFU, statistic[r], 1);
      float2 sum = make_float2(0, 0);
#pragma unroll
      for (int i = 0; i < kVector; ++i) {
        float const normal = (v[i] - mean) * rstd;
        columns.by_x[i] += d[i] * normal;
        columns.by_one[i] += d[i];
        d[i] *= gamma[i];
        sum.x += d[i];
        sum.y += d[i] * normal;
      }
#pragma unroll
      for (int offset = 16; offset > 0; offset /= 2) {
        sum.x += __shfl_xor_sync(0xFFFFFFFFU, sum.x, offset);
        sum.y += __shfl_xor_sync(0xFFFFFFFFU, sum.y, offset);
      }
      if (lane % 32 == 0) of_warps[turn][group][r][lane / 32] = sum;
    }
    group_barrier(group);
    // Warps that run ahead write the other half until the next barrier, where this one takes part.
    index_t const row = first + lane * step;
    if (lane >= kRows || row >= call.rows) continue;
    float2 sum = make_float2(0, 0);
#pragma unroll
    for (int w = 0; w < kWarps; ++w) {
      sum.x += of_warps[turn][group][lane][w].x;
      sum.y += of_warps[turn][group][lane][w].y;
    }
    reinterpret_cast<float2*>(call.sums)[row] = sum;
  }
  fold(columns, column, group);
  if (group > 0 || !has) return;
  float* const mine = call.partials + blockIdx.x * call.features + column;
  store(mine, columns.by_x);
  store(mine + gridDim.x * call.features, columns.by_one);
}

}  // namespace

bool are_short_rows(ShortRows const& call) {
  return call.features > kFold && call.features <= kShortFeatures && call.features % kVector == 0 &&
         aligned({call.dy, call.x, call.gamma});
}

void short_rows_sums(ShortRows const& call, float* dgamma, float* dbeta, stream_t stream) {
  index_t const most = (call.rows + kGroups - 1) / kGroups;
  unsigned const blocks = most < kBlocks ? static_cast<unsigned>(most) : kBlocks;
  short_sums_kernel<<<blocks, kLanes * kGroups, 0, stream>>>(call);
  add_partials(call.partials, dgamma, dbeta, static_cast<int>(blocks), call.features, stream);
}

}  // namespace dsr::kernels
