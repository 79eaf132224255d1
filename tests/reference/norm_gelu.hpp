// SPDX-License-Identifier: Apache-2.0
#pragma once
/// LayerNorm and GELU one after the other, from their own references.
#include "reference/elementwise.hpp"
#include "reference/norm.hpp"

namespace dsr::reference {

inline Values norm_gelu(Values const& x, Values const& gamma, Values const& beta, double eps) {
  Values y = layer_norm(x, gamma, beta, eps);
  for (double& value : y) value = gelu(value);
  return y;
}

}  // namespace dsr::reference
