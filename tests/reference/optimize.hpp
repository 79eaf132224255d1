// SPDX-License-Identifier: Apache-2.0
#pragma once
/// AdamW of one element, as the paper's algorithm 2 writes it.
#include <cmath>

#include "dsr/ops/optimize.hpp"

namespace dsr::reference {

struct Element {
  double value, m, v;
};

inline Element adamw(Element x, double gradient, AdamWStep const& step) {
  double const n = static_cast<double>(step.number), g = gradient * step.gradient_scale;
  x.m = step.beta1 * x.m + (1 - step.beta1) * g;
  x.v = step.beta2 * x.v + (1 - step.beta2) * g * g;
  double const m = x.m / (1 - std::pow(step.beta1, n)), v = x.v / (1 - std::pow(step.beta2, n));
  x.value -= step.lr * (m / (std::sqrt(v) + step.eps) + step.weight_decay * x.value);
  return x;
}

}  // namespace dsr::reference
