// SPDX-License-Identifier: Apache-2.0
/// LayerNorm: y = (x − mean)·rstd·gamma + beta with x = sum + branch. A block owns a row and holds it in registers, so
/// that mean, Σ(x − mean)² and y come from one read. Bytes per element: residual_norm 8 (sum, branch read; branch, y
/// written), norm_backward 8 with a residual. Numerics: f32, two passes over registers; statistics are those of the
/// rounded x that backward reads. Source: Ba et al. 2016, arXiv:1607.06450; Chan, Golub and LeVeque 1979.
#include <type_traits>

#include "kernels/common/device.cuh"
#include "kernels/norm/norm.hpp"

namespace dsr::kernels {
namespace {

constexpr int kMostThreads = 512;
static_assert(kMostFeatures == index_t{4} * kVector * kMostThreads);

/// A row as a thread sees it: Pieces groups of 8 features, a block's width apart. Other sizes than multiples of 8 are
/// read one by one.
template <int Pieces, bool Aligned>
struct RowPart {
  index_t features;

  __device__ index_t column(int piece) const {
    return (static_cast<index_t>(piece) * blockDim.x + threadIdx.x) * kVector;
  }
  __device__ bool has(int piece, int i) const { return column(piece) + (Aligned ? 0 : i) < features; }

  template <class T>
  __device__ void read(T const* row, float (&x)[Pieces][kVector]) const {
#pragma unroll
    for (int p = 0; p < Pieces; ++p) {
      if constexpr (Aligned) {
        if (has(p, 0)) {
          load(row + column(p), x[p]);
          continue;
        }
      }
#pragma unroll
      for (int i = 0; i < kVector; ++i) x[p][i] = !Aligned && has(p, i) ? to_float(row[column(p) + i]) : 0.0F;
    }
  }

  __device__ void write(bf16_t* row, float const (&x)[Pieces][kVector]) const {
#pragma unroll
    for (int p = 0; p < Pieces; ++p) {
      if constexpr (Aligned) {
        if (has(p, 0)) store(row + column(p), x[p]);
      } else {
#pragma unroll
        for (int i = 0; i < kVector; ++i) {
          if (has(p, i)) row[column(p) + i] = to_bf16(x[p][i]);
        }
      }
    }
  }

  /// Calls f(p, i) for the elements that exist.
  template <class F>
  __device__ void each(F&& f) const {
#pragma unroll
    for (int p = 0; p < Pieces; ++p) {
#pragma unroll
      for (int i = 0; i < kVector; ++i) {
        if (has(p, i)) f(p, i);
      }
    }
  }
};

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
  float* sums;
  float whole_features;
  bf16_t const* dresidual;
  bf16_t* dx;  // null: sums only
  index_t features;
};

template <int Pieces, bool Aligned>
__global__ void __launch_bounds__(kMostThreads)
    norm_backward_kernel(BackwardCall call) {
  __shared__ float shared[32];
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
  if (call.dx == nullptr) {
    float first = 0, second = 0;
    part.each([&](int p, int i) {
      first += d[p][i];
      second += d[p][i] * x[p][i];
    });
    first = reduce_block<Sum>(first, shared);
    second = reduce_block<Sum>(second, shared);
    if (threadIdx.x == 0) {
      call.sums[2 * row] = first;
      call.sums[2 * row + 1] = second;
    }
    return;
  }
  float const first = call.sums[2 * row] / call.whole_features, second = call.sums[2 * row + 1] / call.whole_features;
  if (call.dresidual != nullptr) {
    part.read(call.dresidual + at, g);
    part.each([&](int p, int i) { d[p][i] = rstd * (d[p][i] - first - x[p][i] * second) + g[p][i]; });
  } else {
    part.each([&](int p, int i) { d[p][i] = rstd * (d[p][i] - first - x[p][i] * second); });
  }
  part.write(call.dx + at, d);
}

/// Calls launch(Pieces, Aligned as constants, threads) for the smallest shape that holds a row of at most kMostFeatures.
template <class Launch>
void for_row(index_t features, Launch&& launch) {
  index_t const vectors = (features + kVector - 1) / kVector;
  auto const threads_for = [&](int pieces) {
    index_t const threads = ((vectors + pieces - 1) / pieces + 31) / 32 * 32;
    return static_cast<int>(threads < 32 ? 32 : threads);
  };
  auto const with = [&](auto pieces) {
    if (features % kVector == 0) launch(pieces, std::true_type{}, threads_for(pieces));
    else launch(pieces, std::false_type{}, threads_for(pieces));
  };
  if (vectors <= 256) with(std::integral_constant<int, 1>{});
  else if (vectors <= 1024) with(std::integral_constant<int, 2>{});
  else with(std::integral_constant<int, 4>{});
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

void norm_row_sums(bf16_t const* dy, bf16_t const* x, float const* statistics, bf16_t const* gamma, float* sums,
                   index_t rows, index_t features, stream_t stream) {
  launch_backward({dy, x, statistics, gamma, sums, 1, nullptr, nullptr, features}, rows, stream);
}

void norm_backward(bf16_t const* dy, bf16_t const* x, float const* statistics, bf16_t const* gamma, float const* sums,
                   index_t whole_features, bf16_t const* dresidual, bf16_t* dx, index_t rows, index_t features,
                   stream_t stream) {
  launch_backward({dy, x, statistics, gamma, const_cast<float*>(sums), static_cast<float>(whole_features), dresidual,
                   dx, features}, rows, stream);
}

}  // namespace dsr::kernels
