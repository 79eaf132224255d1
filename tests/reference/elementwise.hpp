// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Bias, GELU and dropout, one element after the other.
#include <cmath>
#include <vector>

#include "dsr/core/rng.hpp"

namespace dsr::reference {

using Values = std::vector<double>;

inline Values column_sums(Values const& x, std::size_t columns) {
  Values sums(columns);
  for (std::size_t i = 0; i < x.size(); ++i) sums[i % columns] += x[i];
  return sums;
}

inline Values add_bias(Values y, Values const& bias) {
  for (std::size_t i = 0; i < y.size(); ++i) y[i] += bias[i % bias.size()];
  return y;
}

inline double gelu(double h) {
  double const root = std::sqrt(2 / std::acos(-1.0));
  return h / 2 * (1 + std::tanh(root * (h + 0.044715 * h * h * h)));
}

inline double gelu_slope(double h) {
  double const root = std::sqrt(2 / std::acos(-1.0));
  double const t = std::tanh(root * (h + 0.044715 * h * h * h));
  return (1 + t) / 2 + h / 2 * (1 - t * t) * root * (1 + 3 * 0.044715 * h * h);
}

/// Whether an element is kept, straight from the definition.
inline bool kept(RandomKey key, double probability, std::uint32_t ordinal, std::uint32_t position,
                 std::uint32_t feature) {
  std::uint32_t const bits = random_bits(key, {ordinal, position, feature / 4, 0})[feature % 4];
  return bits >= static_cast<std::uint32_t>(probability * 4294967296.0);
}

}  // namespace dsr::reference
