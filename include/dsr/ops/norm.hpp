// SPDX-License-Identifier: Apache-2.0
#pragma once
/// LayerNorm in two halves, so that rows may be cut over ranks: moments of the local part, merged
/// over the group by Chan's formula (never sum of squares minus square of sum), then normalisation.
/// M rows of N local features.
///
///     residual_moments(sum, branch, moments, s);      // branch += sum; moments of every row
///     all_gather(moments, gathered, col, s);
///     merge_moments(gathered, N, eps, statistics, s);
///     normalize(branch, statistics, gamma, beta, y, s);
///
/// Source: Ba et al. 2016, arXiv:1607.06450; Chan, Golub and LeVeque 1979, "Updating formulae and a
/// pairwise algorithm for computing sample variances".
#include "dsr/core/stream.hpp"
#include "dsr/core/tensor.hpp"

namespace dsr {

/// branch [M, N] = sum + branch (if sum is defined), and moments [M, 2] = (mean, Σ(x − mean)²) of
/// branch's rows.
void residual_moments(Tensor sum, Tensor branch, Tensor moments, Stream& stream);

/// gathered [P, M, 2], the moments of P parts of `features` each, in rank order → statistics [M, 2]
/// = (mean, 1/√(Σ(x − mean)²/(P·features) + eps)) of the whole rows.
void merge_moments(Tensor gathered, Size features, double eps, Tensor statistics, Stream& stream);

/// y [M, N] = (x − mean)·rstd·gamma [N] + beta [N] (if beta is defined).
void normalize(Tensor x, Tensor statistics, Tensor gamma, Tensor beta, Tensor y, Stream& stream);

/// residual_moments, merge_moments of one part, and normalize in one pass over memory.
void residual_norm(Tensor sum, Tensor branch, Tensor gamma, Tensor beta, double eps,
                   Tensor statistics, Tensor y, Stream& stream);

/// With x̂ = (x − mean)·rstd and d = dy·gamma: sums [M, 2] = (Σd, Σd·x̂) over the local features;
/// dgamma [N] += Σ over rows of dy·x̂; dbeta [N] += Σ over rows of dy (if dbeta is defined).
void norm_backward_sums(Tensor dy, Tensor x, Tensor statistics, Tensor gamma, Tensor sums,
                        Tensor dgamma, Tensor dbeta, Stream& stream);

/// dx [M, N] = rstd·(d − (Σd + x̂·Σd·x̂)/features) + dresidual (if defined), with sums over all
/// `features` of a whole row. dx may be dresidual or dy.
void norm_backward(Tensor dy, Tensor x, Tensor statistics, Tensor gamma, Tensor sums, Size features,
                   Tensor dresidual, Tensor dx, Stream& stream);

/// norm_backward_sums and norm_backward of whole rows in one pass over memory. dx may be dresidual
/// or dy.
void residual_norm_backward(Tensor dy, Tensor x, Tensor statistics, Tensor gamma, Tensor dresidual,
                            Tensor dx, Tensor dgamma, Tensor dbeta, Stream& stream);

}  // namespace dsr
