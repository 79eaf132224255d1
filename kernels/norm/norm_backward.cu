// SPDX-License-Identifier: Apache-2.0
/// LayerNorm backward: dgamma += Σ_rows dy·x̂, dbeta += Σ_rows dy, and with d = dy·gamma either dx = rstd·(d − (Σd +
/// x̂·Σd·x̂)/N) + dresidual of whole rows, or the sums (Σd, Σd·x̂) of parts of rows. A block owns every gridDim-th row, holds one in registers while it fetches the next, and
/// keeps its columns' part of dgamma and dbeta in registers until its last row; then partial sums go out and are added
/// in order of the blocks. Bytes per element: 8 with a residual, 4 for sums. Numerics: f32, no atomics, the same bits every time.
/// Source: the derivative of LayerNorm.
#include "kernels/common/column_sums.cuh"
#include "kernels/norm/row_part.cuh"
#include "kernels/norm/short_rows.cuh"

namespace dsr::kernels {
namespace {

constexpr int kResidentThreads = 512;  // of a multiprocessor: more blocks have more partial sums to add up
constexpr int kMultiprocessors = 132;

struct WholeCall {
  bf16_t const *dy, *x;
  float const* statistics;
  bf16_t const *gamma, *dresidual;
  bf16_t* dx;       // null: sums only
  float* sums;      // [rows, 2], where dx is null
  float* partials;  // [2, blocks, features]
  index_t rows, features;
};

template <int Pieces>
__device__ void unpack(uint4 const (&words)[Pieces], float (&x)[Pieces][kVector]) {
#pragma unroll
  for (int p = 0; p < Pieces; ++p) {
    unsigned const all[4] = {words[p].x, words[p].y, words[p].z, words[p].w};
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      x[p][2 * i] = __uint_as_float(all[i] << 16);
      x[p][2 * i + 1] = __uint_as_float(all[i] & 0xFFFF0000U);
    }
  }
}

/// Sums of two numbers over the block, in one round; `shared`, zero beyond the block's warps, may be used again in the
/// next round but one.
template <int MostWarps>
__device__ float2 reduce_both(float2 x, float2 (&shared)[MostWarps]) {
#pragma unroll
  for (int offset = 16; offset > 0; offset /= 2) {
    x.x += __shfl_xor_sync(0xFFFFFFFFU, x.x, offset);
    x.y += __shfl_xor_sync(0xFFFFFFFFU, x.y, offset);
  }
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = x;
  __syncthreads();
  x = make_float2(0, 0);
#pragma unroll
  for (int w = 0; w < MostWarps; ++w) {
    x.x += shared[w].x;
    x.y += shared[w].y;
  }
  return x;
}

/// Rows of one piece have at most 256 threads.
template <int Pieces>
inline constexpr int kRowThreads = Pieces == 1 ? 256 : kMostThreads;

template <int Pieces, bool Aligned>
__global__ void __launch_bounds__(kRowThreads<Pieces>, Pieces == 1 ? 2 : 1)
    whole_backward_kernel(WholeCall call) {
  constexpr bool kAhead = Pieces <= 2;  // longer rows fill the registers by themselves
  using Part = RowPart<Pieces, Aligned>;
  constexpr int kWarps = kRowThreads<Pieces> / 32;
  __shared__ alignas(16) float2 shared[2][kWarps];
  if (threadIdx.x < 32) {
    for (int i = static_cast<int>(threadIdx.x); i < 2 * kWarps; i += 32) shared[i / kWarps][i % kWarps] = make_float2(0, 0);
  }
  __syncthreads();
  Part const part{call.features};
  float const share = 1 / static_cast<float>(call.features);
  float g[Pieces][kVector], by_x[Pieces][kVector] = {}, by_one[Pieces][kVector] = {};
  part.read(call.gamma, g);
  typename Part::Bits dy, x, residual{};
  // Mean in even lanes, rstd in odd ones: one that all lanes load alike goes to a uniform register, and waiting for that
  // would make every fetch ahead wait for its memory.
  float statistic = 0;
  auto const fetch = [&](index_t row) {
    if (row >= call.rows) return;
    index_t const at = row * call.features;
    dy = part.fetch(call.dy + at);
    x = part.fetch(call.x + at);
    if (call.dresidual != nullptr) residual = part.fetch(call.dresidual + at);
    statistic = call.statistics[2 * row + threadIdx.x % 2];
  };
  if (kAhead) fetch(blockIdx.x);
  int turn = 0;
  for (index_t row = blockIdx.x; row < call.rows; row += gridDim.x, turn ^= 1) {
    if (!kAhead) fetch(row);
    float d[Pieces][kVector], v[Pieces][kVector], r[Pieces][kVector];
    unpack(dy.words, d);
    unpack(x.words, v);
    if (kAhead) unpack(residual.words, r);
    float const mean = __shfl_sync(0xFFFFFFFFU, statistic, 0), rstd = __shfl_sync(0xFFFFFFFFU, statistic, 1);
    if (kAhead) fetch(row + gridDim.x);
    float2 sums = make_float2(0, 0);
    part.each([&](int p, int i) {
      v[p][i] = (v[p][i] - mean) * rstd;
      by_x[p][i] += d[p][i] * v[p][i];
      by_one[p][i] += d[p][i];
      d[p][i] *= g[p][i];
      sums.x += d[p][i];
      sums.y += d[p][i] * v[p][i];
    });
    sums = reduce_both(sums, shared[turn]);
    if (call.dx == nullptr) {
      if (threadIdx.x == 0) reinterpret_cast<float2*>(call.sums)[row] = sums;
      continue;
    }
    float const first = sums.x * share, second = sums.y * share;
    if (!kAhead) unpack(residual.words, r);
    part.each([&](int p, int i) { d[p][i] = rstd * (d[p][i] - first - v[p][i] * second) + r[p][i]; });
    part.write(call.dx + row * call.features, d);
  }
  float* const mine = call.partials + blockIdx.x * call.features;
  part.write(mine, by_x);
  part.write(mine + gridDim.x * call.features, by_one);
}

int blocks_for(index_t rows, int threads) {
  int const each = threads < kResidentThreads ? kResidentThreads / threads : 1;
  index_t const most = static_cast<index_t>(kMultiprocessors) * each;
  return static_cast<int>(rows < most ? rows : most);
}

void launch(WholeCall const& call, float* dgamma, float* dbeta, stream_t stream) {
  int blocks = 0;
  for_row(call.features, [&](auto pieces, auto aligned, int threads) {
    blocks = blocks_for(call.rows, threads);
    whole_backward_kernel<pieces(), aligned()><<<static_cast<unsigned>(blocks), threads, 0, stream>>>(call);
  });
  add_partials(call.partials, dgamma, dbeta, blocks, call.features, stream);
}

}  // namespace

index_t norm_partial_bytes(index_t rows, index_t features) {
  int blocks = 0;
  for_row(features, [&](auto, auto, int threads) { blocks = blocks_for(rows, threads); });
  return static_cast<index_t>(2 * sizeof(float)) * blocks * features;
}

void whole_norm_backward(bf16_t const* dy, bf16_t const* x, float const* statistics, bf16_t const* gamma,
                         bf16_t const* dresidual, bf16_t* dx, float* dgamma, float* dbeta, void* partials, index_t rows,
                         index_t features, stream_t stream) {
  launch({dy, x, statistics, gamma, dresidual, dx, nullptr, static_cast<float*>(partials), rows, features}, dgamma, dbeta,
         stream);
}

void norm_backward_sums(bf16_t const* dy, bf16_t const* x, float const* statistics, bf16_t const* gamma, float* sums,
                        float* dgamma, float* dbeta, void* partials, index_t rows, index_t features, stream_t stream) {
  ShortRows const short_rows{dy, x, statistics, gamma, sums, static_cast<float*>(partials), rows, features};
  if (are_short_rows(short_rows)) return short_rows_sums(short_rows, dgamma, dbeta, stream);
  launch({dy, x, statistics, gamma, nullptr, nullptr, sums, static_cast<float*>(partials), rows, features}, dgamma, dbeta,
         stream);
}

}  // namespace dsr::kernels
