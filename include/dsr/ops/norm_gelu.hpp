// SPDX-License-Identifier: Apache-2.0
#pragma once
/// LayerNorm and GELU of what it gives, in one pass over memory each way: for layers that normalise
/// and activate in turn, with nothing kept between the two. M rows of N features, whole rows.
///
///     norm_gelu(x, gamma, beta, eps, statistics, y, s);
///     norm_gelu_backward(dy, x, statistics, gamma, beta, dx, dgamma, dbeta, s);
///
/// Source: Ba et al. 2016, arXiv:1607.06450; Hendrycks and Gimpel 2016, arXiv:1606.08415 (tanh
/// form).
#include "dsr/core/stream.hpp"
#include "dsr/core/tensor.hpp"

namespace dsr {

/// y [M, N] = gelu((x − mean)·rstd·gamma [N] + beta [N]) (no beta: 0), and statistics [M, 2] =
/// (mean, rstd) of x's rows, rstd = 1/√(Σ(x − mean)²/N + eps).
void norm_gelu(Tensor x, Tensor gamma, Tensor beta, double eps, Tensor statistics, Tensor y,
               Stream& stream);

/// From x and the statistics that norm_gelu gave: dx [M, N], dgamma [N] += and dbeta [N] += (if
/// dbeta is defined; beta and dbeta need not come together). dx may be dy.
void norm_gelu_backward(Tensor dy, Tensor x, Tensor statistics, Tensor gamma, Tensor beta,
                        Tensor dx, Tensor dgamma, Tensor dbeta, Stream& stream);

}  // namespace dsr
