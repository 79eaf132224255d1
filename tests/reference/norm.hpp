// SPDX-License-Identifier: Apache-2.0
#pragma once
/// LayerNorm and its gradient, a row at a time, over whole rows.
#include <cmath>
#include <vector>

namespace dsr::reference {

using Values = std::vector<double>;

/// (mean, Σ(x − mean)²) of each row.
inline Values moments(Values const& x, std::size_t columns) {
  Values all;
  for (std::size_t at = 0; at < x.size(); at += columns) {
    double mean = 0, squares = 0;
    for (std::size_t n = 0; n < columns; ++n) mean += x[at + n] / static_cast<double>(columns);
    for (std::size_t n = 0; n < columns; ++n) squares += std::pow(x[at + n] - mean, 2);
    all.insert(all.end(), {mean, squares});
  }
  return all;
}

inline Values layer_norm(Values const& x, Values const& gamma, Values const& beta, double eps) {
  std::size_t const columns = gamma.size();
  Values const rows = moments(x, columns);
  Values y(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    double const variance = rows[i / columns * 2 + 1] / static_cast<double>(columns);
    y[i] = (x[i] - rows[i / columns * 2]) / std::sqrt(variance + eps) * gamma[i % columns] +
           beta[i % columns];
  }
  return y;
}

}  // namespace dsr::reference
