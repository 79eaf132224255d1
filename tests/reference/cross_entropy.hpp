// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Cross entropy over whole rows of logits.
#include <cmath>
#include <vector>

namespace dsr::reference {

using Values = std::vector<double>;

/// The summed loss; logits [targets.size(), V] become its gradient. A negative target is ignored.
inline double cross_entropy(Values& logits, std::vector<int> const& targets) {
  std::size_t const columns = logits.size() / targets.size();
  double loss = 0;
  for (std::size_t m = 0; m < targets.size(); ++m) {
    double* const row = logits.data() + m * columns;
    double sum = 0;
    for (std::size_t n = 0; n < columns; ++n) sum += std::exp(row[n]);
    if (targets[m] >= 0) loss += std::log(sum) - row[targets[m]];
    for (std::size_t n = 0; n < columns; ++n) {
      double const target = static_cast<int>(n) == targets[m] ? 1 : 0;
      row[n] = targets[m] < 0 ? 0 : std::exp(row[n]) / sum - target;
    }
  }
  return loss;
}

}  // namespace dsr::reference
