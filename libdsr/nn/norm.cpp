// SPDX-License-Identifier: Apache-2.0
#include "dsr/nn/norm.hpp"

#include "dsr/ops/norm.hpp"
#include "exchange.hpp"

namespace dsr {

namespace {

Shard features(Size hidden, Mesh const& mesh) {
  return Shard{{hidden}, {{0, Axis::col}}, mesh.shape()};
}

/// Every row holds the same gamma and sees its own tokens only.
ParameterTraits traits(double value) {
  return {.init = constant_init(value), .partial_over = Axis::dp | Axis::row, .decay = Decay::no};
}

}  // namespace

AddNorm::AddNorm(Size hidden, Mesh const& mesh, NormOptions options)
    : hidden_(hidden), options_(options), gamma_(features(hidden, mesh), traits(1)) {
  if (options.bias == NormBias::yes) beta_.emplace(features(hidden, mesh), traits(0));
}

void AddNorm::visit(Visitor& visitor) {
  visitor.parameter("gamma", gamma_);
  if (beta_) visitor.parameter("beta", *beta_);
}

void AddNorm::forward(Pass& pass, Tensor x, Tensor y) {
  Tensor const sum = x.size(0) == 1 ? Tensor{} : x[0];
  forward(pass, sum, x[x.size(0) - 1], y);
}

void AddNorm::forward(Pass& pass, Tensor sum, Tensor branch, Tensor y) {
  Size const rows = branch.size(0), parts = detail::ranks(pass, Axis::col);
  Tensor const gamma = gamma_.value(), beta = beta_ ? beta_->value() : Tensor{};
  Tensor const statistics = pass.make_saved({rows, 2}, pass.statistics_dtype());
  if (parts == 1) {
    residual_norm(sum, branch, gamma, beta, options_.eps, statistics, y, pass.stream());
  } else {
    Scratch frame = pass.scratch();
    Tensor const moments = frame.take({rows, 2}, pass.statistics_dtype());
    residual_moments(sum, branch, moments, pass.stream());
    detail::Gathered const gathered = detail::gather(
        pass, moments, Axis::col,
        [&](Shape const& shape) { return frame.take(shape, pass.statistics_dtype()); });
    pass.compute_after_exchange();
    merge_moments(gathered.tensor.reshape({parts, rows, 2}), branch.size(1), options_.eps,
                  statistics, pass.stream());
    normalize(branch, statistics, gamma, beta, y, pass.stream());
  }
  pass.keep(*this, branch);
  pass.keep(*this, statistics);
}

void AddNorm::forward_again(Pass& pass, Tensor y) {
  Tensor const statistics = pass.seen(*this, 0), x = pass.seen(*this, 1);
  normalize(x, statistics, gamma_.value(), beta_ ? beta_->value() : Tensor{}, y, pass.stream());
}

void AddNorm::backward(Pass& pass, Tensor dy, Tensor dx) { backward(pass, dy, {}, dx); }

void AddNorm::backward(Pass& pass, Tensor dy, Tensor dresidual, Tensor dx) {
  Tensor const statistics = pass.kept(*this), x = pass.kept(*this);
  Tensor const dbeta = beta_ ? beta_->gradient() : Tensor{};
  if (detail::ranks(pass, Axis::col) == 1) {
    residual_norm_backward(dy, x, statistics, gamma_.value(), dresidual, dx, gamma_.gradient(),
                           dbeta, pass.stream());
  } else {
    Scratch frame = pass.scratch();
    Tensor const sums = frame.take({x.size(0), 2}, pass.statistics_dtype());
    norm_backward_sums(dy, x, statistics, gamma_.value(), sums, gamma_.gradient(), dbeta,
                       pass.stream());
    pass.exchange_after_compute();
    all_reduce(sums, Reduce::sum, pass.mesh()[Axis::col], pass.exchange());
    pass.compute_after_exchange();
    norm_backward(dy, x, statistics, gamma_.value(), sums, hidden_, dresidual, dx, pass.stream());
  }
  pass.gradient_added(gamma_);
  if (beta_) pass.gradient_added(*beta_);
}

}  // namespace dsr
