// SPDX-License-Identifier: Apache-2.0
/// LayerNorm: y = (x − mean)·rstd·gamma + beta with x = sum + branch. A block owns a row and holds it in registers, so
/// that mean, Σ(x − mean)² and y come from one read. Bytes per element: residual_norm 8 (sum, branch read; branch, y
/// written), norm_backward 8 with a residual. Numerics: f32, two passes over registers; statistics are those of the
/// rounded x that backward reads. Source: Ba et al. 2016, arXiv:1607.06450; Chan, Golub and LeVeque 1979.
#include "kernels/norm/norm.hpp"
#include "kernels/norm/row_part.cuh"

namespace dsr::kernels {
namespace {

struct Moments {
  float mean, m2;
};

template <int Pieces, bool Aligned>
__device__ Moments moments_of(RowPart<Pieces, Aligned> const& part, float const (&x)[Pieces][kVector], float* shared) {
  float sum = 0, squares = 0;
  part.each([&](int p, int i) { sum += x[p][i]; });
  float const mean = reduce_block<Sum>(sum, shared) / static_cast<float>(part.features);
  part.each([&](int p, int i) { squares += (x[p][i] - mean) * (x[p][i] - mean); });
  return {mean, reduce_block<Sum>(squares, shared)};
}

struct NormCall {
  bf16_t const* sum;
  bf16_t* branch;
  bf16_t const *gamma, *beta;
  float eps;
  float* statistics;  // or moments
  bf16_t* y;          // null: moments only
  index_t features;
};

template <int Pieces, bool Aligned>
__global__ void __launch_bounds__(kMostThreads)
    residual_norm_kernel(NormCall call) {
  __shared__ float shared[32];
  RowPart<Pieces, Aligned> const part{call.features};
  index_t const row = blockIdx.x, at = row * call.features;
  float x[Pieces][kVector];
  part.read(call.branch + at, x);
  if (call.sum != nullptr) {
    float s[Pieces][kVector];
    part.read(call.sum + at, s);
    part.each([&](int p, int i) { x[p][i] = to_float(to_bf16(x[p][i] + s[p][i])); });
    part.write(call.branch + at, x);
  }
  Moments const moments = moments_of(part, x, shared);
  float const rstd = rsqrtf(moments.m2 / static_cast<float>(call.features) + call.eps);
  if (threadIdx.x == 0) {
    call.statistics[2 * row] = moments.mean;
    call.statistics[2 * row + 1] = call.y == nullptr ? moments.m2 : rstd;
  }
  if (call.y == nullptr) return;
  float g[Pieces][kVector], b[Pieces][kVector] = {};
  part.read(call.gamma, g);
  if (call.beta != nullptr) part.read(call.beta, b);
  part.each([&](int p, int i) { x[p][i] = (x[p][i] - moments.mean) * rstd * g[p][i] + b[p][i]; });
  part.write(call.y + at, x);
}

template <int Pieces, bool Aligned>
__global__ void __launch_bounds__(kMostThreads)
    normalize_kernel(bf16_t const* x, float const* statistics, bf16_t const* gamma, bf16_t const* beta,
                                 bf16_t* y, index_t features) {
  RowPart<Pieces, Aligned> const part{features};
  index_t const row = blockIdx.x, at = row * features;
  float const mean = statistics[2 * row], rstd = statistics[2 * row + 1];
  float v[Pieces][kVector], g[Pieces][kVector], b[Pieces][kVector] = {};
  part.read(x + at, v);
  part.read(gamma, g);
  if (beta != nullptr) part.read(beta, b);
  part.each([&](int p, int i) { v[p][i] = (v[p][i] - mean) * rstd * g[p][i] + b[p][i]; });
  part.write(y + at, v);
}

__global__ void merge_moments_kernel(float const* gathered, float* statistics, int parts, index_t rows, float features,
                                     float eps) {
  index_t const row = static_cast<index_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (row >= rows) return;
  float mean = gathered[2 * row], m2 = gathered[2 * row + 1];
  for (int c = 1; c < parts; ++c) {
    float const* const other = gathered + 2 * (c * rows + row);
    float const delta = other[0] - mean, count = static_cast<float>(c);
    mean += delta / (count + 1);
    m2 += other[1] + delta * delta * features * count / (count + 1);
  }
  statistics[2 * row] = mean;
  statistics[2 * row + 1] = rsqrtf(m2 / (static_cast<float>(parts) * features) + eps);
}

struct BackwardCall {
  bf16_t const *dy, *x;
  float const* statistics;
  bf16_t const* gamma;
  float const* sums;
  float whole_features;
  bf16_t const* dresidual;
  bf16_t* dx;
  index_t features;
};

template <int Pieces, bool Aligned>
__global__ void __launch_bounds__(kMostThreads)
    norm_backward_kernel(BackwardCall call) {
  RowPart<Pieces, Aligned> const part{call.features};
  index_t const row = blockIdx.x, at = row * call.features;
  float const mean = call.statistics[2 * row], rstd = call.statistics[2 * row + 1];
  float d[Pieces][kVector], x[Pieces][kVector], g[Pieces][kVector];
  part.read(call.dy + at, d);
  part.read(call.x + at, x);
  part.read(call.gamma, g);
  part.each([&](int p, int i) {
    d[p][i] *= g[p][i];
    x[p][i] = (x[p][i] - mean) * rstd;
  });
  float const first = call.sums[2 * row] / call.whole_features, second = call.sums[2 * row + 1] / call.whole_features;
  if (call.dresidual != nullptr) {
    part.read(call.dresidual + at, g);
    part.each([&](int p, int i) { d[p][i] = rstd * (d[p][i] - first - x[p][i] * second) + g[p][i]; });
  } else {
    part.each([&](int p, int i) { d[p][i] = rstd * (d[p][i] - first - x[p][i] * second); });
  }
  part.write(call.dx + at, d);
}

void launch_residual(NormCall const& call, index_t rows, stream_t stream) {
  for_row(call.features, [&](auto pieces, auto aligned, int threads) {
    residual_norm_kernel<pieces(), aligned()><<<static_cast<unsigned>(rows), threads, 0, stream>>>(call);
  });
}

void launch_backward(BackwardCall const& call, index_t rows, stream_t stream) {
  for_row(call.features, [&](auto pieces, auto aligned, int threads) {
    norm_backward_kernel<pieces(), aligned()><<<static_cast<unsigned>(rows), threads, 0, stream>>>(call);
  });
}

}  // namespace

void residual_moments(bf16_t const* sum, bf16_t* branch, float* moments, index_t rows, index_t features,
                      stream_t stream) {
  launch_residual({sum, branch, nullptr, nullptr, 0, moments, nullptr, features}, rows, stream);
}

void residual_norm(bf16_t const* sum, bf16_t* branch, bf16_t const* gamma, bf16_t const* beta, float eps,
                   float* statistics, bf16_t* y, index_t rows, index_t features, stream_t stream) {
  launch_residual({sum, branch, gamma, beta, eps, statistics, y, features}, rows, stream);
}

void merge_moments(float const* gathered, float* statistics, int parts, index_t rows, index_t features, float eps,
                   stream_t stream) {
  constexpr int kThreads = 256;
  merge_moments_kernel<<<static_cast<unsigned>((rows + kThreads - 1) / kThreads), kThreads, 0, stream>>>(
      gathered, statistics, parts, rows, static_cast<float>(features), eps);
}

void normalize(bf16_t const* x, float const* statistics, bf16_t const* gamma, bf16_t const* beta, bf16_t* y,
               index_t rows, index_t features, stream_t stream) {
  for_row(features, [&](auto pieces, auto aligned, int threads) {
    normalize_kernel<pieces(), aligned()>
        <<<static_cast<unsigned>(rows), threads, 0, stream>>>(x, statistics, gamma, beta, y, features);
  });
}

void norm_backward(bf16_t const* dy, bf16_t const* x, float const* statistics, bf16_t const* gamma, float const* sums,
                   index_t whole_features, bf16_t const* dresidual, bf16_t* dx, index_t rows, index_t features,
                   stream_t stream) {
  launch_backward({dy, x, statistics, gamma, sums, static_cast<float>(whole_features), dresidual,
                   dx, features}, rows, stream);
}

}  // namespace dsr::kernels
