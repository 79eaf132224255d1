// SPDX-License-Identifier: Apache-2.0
#pragma once
/// gelu(h) = h/2·(1 + tanh u) = h·s with s = 1/(1 + exp(−2u)), u = √(2/π)·(h + 0.044715·h³): one
/// exponential and one reciprocal, and no cancellation where tanh u is near −1. exp overflows to
/// infinity, whose reciprocal is 0: right at both ends. Denormal numbers count as 0 here: they are
/// beyond what is added to 1, and to keep them costs as much as all the rest.
///
/// Source: Hendrycks and Gimpel 2016, arXiv:1606.08415.

namespace dsr::kernels {

/// 2ˣ and 1/x within 2 units in the last place, each one instruction.
__device__ inline float fast_exp2(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
__device__ inline float fast_reciprocal(float x) {
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

inline constexpr float kGeluTwice = 1.5957691216057308F, kGeluCubic = 0.044715F;  // 2·√(2/π)

/// s of a gelu at h, whose square is given.
__device__ inline float gelu_logistic(float h, float square) {
  constexpr float kFirst = -kGeluTwice * 1.4426950408889634F;  // of log₂ exp(−2u) in h, and in h³
  constexpr float kThird = kFirst * kGeluCubic;
  return fast_reciprocal(1.0F + fast_exp2(h * (kFirst + kThird * square)));
}

__device__ inline float gelu_of(float h) { return h * gelu_logistic(h, h * h); }

/// s + s·(1 − s)·h·d(2u)/dh.
__device__ inline float gelu_slope(float h) {
  float const square = h * h, s = gelu_logistic(h, square);
  return s + (s - s * s) * (h * (kGeluTwice + 3.0F * kGeluTwice * kGeluCubic * square));
}

}  // namespace dsr::kernels
