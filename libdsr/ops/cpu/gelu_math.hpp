// SPDX-License-Identifier: Apache-2.0
#pragma once
/// tanh-GELU: h/2·(1 + tanh u) = h·logistic(2u) with u = √(2/π)·(h + 0.044715·h³), which needs one
/// exponential and keeps its relative accuracy where tanh u is near −1.
#include "libdsr/ops/cpu/vector_math.hpp"

namespace dsr::detail {

template <class T>
inline constexpr T kTwice = static_cast<T>(1.5957691216057307);  // 2·√(2/π)
template <class T>
inline constexpr T kCubic = static_cast<T>(0.044715);

template <class T>
T gelu_of(T h) {
  return h * logistic(kTwice<T> * h * (T{1} + kCubic<T> * h * h));
}

template <class T>
T gelu_slope(T h) {
  T const square = kCubic<T> * h * h;
  T const s = logistic(kTwice<T> * h * (T{1} + square));
  return s + h * s * (T{1} - s) * kTwice<T> * (T{1} + T{3} * square);
}

}  // namespace dsr::detail
