// SPDX-License-Identifier: Apache-2.0
#pragma once
/// out = alpha·op(a)·op(b) + beta·out by three loops.
#include <vector>

#include "dsr/ops/matmul.hpp"

namespace dsr::reference {

using Values = std::vector<double>;

struct Product {
  std::size_t m, n, k;
  Transpose a, b;
};

/// Adds alpha · op(a)·op(b) to out; both operands stored without gaps.
inline void add_product(Product const& p, double alpha, double const* a, double const* b,
                        double* out) {
  for (std::size_t i = 0; i < p.m; ++i) {
    for (std::size_t j = 0; j < p.n; ++j) {
      double sum = 0;
      for (std::size_t l = 0; l < p.k; ++l) {
        sum += (p.a == Transpose::yes ? a[l * p.m + i] : a[i * p.k + l]) *
               (p.b == Transpose::yes ? b[j * p.k + l] : b[l * p.n + j]);
      }
      out[i * p.n + j] += alpha * sum;
    }
  }
}

}  // namespace dsr::reference
