// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Scalar functions without branches or calls, so that a loop over them vectorises.
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace dsr::detail {

/// eˣ. f32: within 2 units in the last place; results below the smallest normal number are 0.
///
/// x = n·ln 2 + r with |r| <= ln 2 / 2; Taylor's series of e^r to r⁷ leaves 5e-9; n is added to the
/// exponent in two halves, since 2¹²⁸ is not a float. ln 2 is split so that n·high is exact.
inline float exponential(float x) {
  constexpr float kRound = 0x1.8p23F, kLog2E = 0x1.715476p+0F;
  constexpr float kLn2High = 0x1.63p-1F, kLn2Low = -2.12194440e-4F;
  constexpr float kLargest = 88.7228394F, kSmallest = -87.3365402F;
  float const shifted = x * kLog2E + kRound;
  float const n = shifted - kRound;
  float const r = (x - n * kLn2High) - n * kLn2Low;
  float p = 1.0F / 5040;
  p = p * r + 1.0F / 720;
  p = p * r + 1.0F / 120;
  p = p * r + 1.0F / 24;
  p = p * r + 1.0F / 6;
  p = p * r + 0.5F;
  p = (p * r) * r + r + 1.0F;
  std::int32_t const exponent =
      std::bit_cast<std::int32_t>(shifted) - std::bit_cast<std::int32_t>(kRound);
  std::int32_t const half = exponent >> 1;
  float const first = std::bit_cast<float>((half + 127) << 23);
  float const second = std::bit_cast<float>((exponent - half + 127) << 23);
  float const y = p * first * second;
  float const bounded = x > kLargest ? std::numeric_limits<float>::infinity() : y;
  return x < kSmallest ? 0.0F : bounded;
}
inline double exponential(double x) { return std::exp(x); }

/// 1/(1 + e⁻ˣ).
template <class T>
T logistic(T x) {
  return T{1} / (T{1} + exponential(-x));
}

}  // namespace dsr::detail
