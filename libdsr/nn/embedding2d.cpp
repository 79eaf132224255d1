// SPDX-License-Identifier: Apache-2.0
#include "dsr/nn/embedding2d.hpp"

#include "dsr/ops/embedding.hpp"
#include "exchange.hpp"
#include "residual.hpp"

namespace dsr {

namespace {

constexpr std::uint64_t kDropoutSite = 0;  // blocks count from 1

Shard table(Size rows, Size hidden, Mesh const& mesh) {
  return Shard{{rows, hidden}, {{0, kModelAxes, Remainder::pad}}, mesh.shape()};
}

Size first_row(Parameter const& parameter, Mesh const& mesh) {
  return mesh.place_in(kModelAxes) * parameter.shard().local_shape()[0];
}

}  // namespace

Embedding2D::Embedding2D(Embedding2DOptions options, Mesh const& mesh)
    : options_(options),
      tokens_(
          table(options.vocabulary, options.hidden, mesh),
          {.init = normal_init(options.stddev), .decay = Decay::yes, .uses = options.token_uses}),
      positions_(table(options.positions, options.hidden, mesh),
                 {.init = normal_init(options.stddev), .decay = Decay::yes}) {
  // The tables are cut by rows; the features of what leaves this layer are cut too: Shard throws if
  // they cannot be.
  static_cast<void>(Shard{{options.hidden}, {{0, Axis::col}}, mesh.shape()});
}

void Embedding2D::visit(Visitor& visitor) {
  visitor.parameter("tokens/weight", tokens_);
  visitor.parameter("positions/weight", positions_);
}

void Embedding2D::forward(Pass& pass, Tensor /*x*/, Tensor y) {
  Scratch frame = pass.scratch();
  Mesh const& mesh = pass.mesh();
  Size const tokens = pass.tokens(), rows = mesh.size(Axis::row), parts = mesh.size(Axis::col);
  Size const features = options_.hidden / parts;
  auto const take = [&](Shape const& shape) { return frame.take(shape, pass.dtype()); };

  Tensor const half = rows == 1 ? y : take({tokens, features});
  Tensor const partial =
      parts == 1 ? half.reshape({1, tokens, features}) : take({parts, tokens, features});
  embedding_sum({pass.batch().tokens, tokens_.value(), first_row(tokens_, mesh)},
                {pass.batch().positions, positions_.value(), first_row(positions_, mesh)}, partial,
                pass.stream());
  // Features first, then tokens: the larger exchange goes over col, which is on the faster links.
  detail::issue_scatter(pass, partial.reshape({parts * tokens, features}), half, Axis::col);
  detail::issue_scatter(pass, half, y, Axis::row);
  pass.compute_after_exchange();
  if (pass.dropout() > 0)
    dropout(y, detail::residual_mask(pass, kDropoutSite, features), y, pass.stream());
}

void Embedding2D::backward(Pass& pass, Tensor dy, Tensor /*dx*/) {
  Scratch frame = pass.scratch();
  auto const take = [&](Shape const& shape) { return frame.take(shape, pass.dtype()); };
  Mesh const& mesh = pass.mesh();
  Size const parts = mesh.size(Axis::col), features = options_.hidden / parts;
  if (pass.dropout() > 0) {
    Tensor const masked = take(dy.shape());
    dropout(dy, detail::residual_mask(pass, kDropoutSite, features), masked, pass.stream());
    dy = masked;
  }
  detail::Gathered const half = detail::gather(pass, dy, Axis::row, take);
  detail::Gathered const whole = detail::gather(pass, half.tensor, Axis::col, take);
  pass.compute_after_exchange();
  Tensor const blocks = whole.tensor.reshape({parts, pass.tokens(), features});
  embedding_backward(pass.batch().tokens, first_row(tokens_, mesh), blocks, tokens_.gradient(),
                     pass.stream());
  pass.gradient_added(tokens_);
  embedding_backward(pass.batch().positions, first_row(positions_, mesh), blocks,
                     positions_.gradient(), pass.stream());
  pass.gradient_added(positions_);
}

}  // namespace dsr
