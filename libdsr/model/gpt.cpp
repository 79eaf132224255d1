// SPDX-License-Identifier: Apache-2.0
#include "dsr/model/gpt.hpp"

#include <cmath>
#include <utility>

#include "dsr/core/error.hpp"

namespace dsr {

namespace {

std::string block_name(std::size_t number) { return "blocks/" + std::to_string(number); }

constexpr double kStddev = 0.02;

GptConfig checked(GptConfig const& config, Mesh const& mesh) {
  config.validate(mesh.shape());
  return config;
}

BlockOptions block_options(GptConfig const& config, int number, FfnFactory const& make_ffn) {
  // Each layer adds two branches to the residual stream: scaling them keeps its variance from
  // growing with depth.
  double const output_stddev = kStddev / std::sqrt(2.0 * static_cast<double>(config.layers));
  bool const biased = config.bias == ModelBias::yes;
  Bias const bias = biased ? Bias::by_layer : Bias::none;
  return {.number = number,
          .norm = {.bias = biased ? NormBias::yes : NormBias::no},
          .attention = {.hidden = config.hidden,
                        .heads = config.heads,
                        .groups = config.groups_or_heads(),
                        .bias = bias,
                        .stddev = kStddev,
                        .output_stddev = output_stddev},
          .ffn = {.hidden = config.hidden,
                  .inner = config.inner(),
                  .bias = bias,
                  .stddev = kStddev,
                  .output_stddev = output_stddev},
          .make_ffn = make_ffn};
}

}  // namespace

Gpt::Gpt(GptConfig config, Mesh const& mesh, FfnFactory make_ffn)
    : config_(checked(config, mesh)),
      embedding_({.vocabulary = config.vocabulary,
                  .positions = config.sequence,
                  .hidden = config.hidden,
                  .stddev = kStddev,
                  .token_uses = config.head == HeadWeight::tied ? 2 : 1},
                 mesh),
      norm_(config.hidden, mesh,
            {.bias = config.bias == ModelBias::yes ? NormBias::yes : NormBias::no}),
      head_({.vocabulary = config.vocabulary, .hidden = config.hidden, .stddev = kStddev}, mesh,
            config.head == HeadWeight::tied ? &embedding_.tokens() : nullptr) {
  for (int i = 0; i < config.layers; ++i) {
    blocks_.push_back(std::make_unique<Block>(block_options(config, i, make_ffn), mesh));
  }
}

void Gpt::visit(Visitor& visitor) {
  visitor.child("embedding", embedding_);
  for (std::size_t i = 0; i < blocks_.size(); ++i)
    visitor.child(block_name(i), *blocks_[i]);
  visitor.child("norm", norm_);
  visitor.child("head", head_);
}

Tensor Gpt::hidden_states(Pass& pass) {
  Mesh const& mesh = pass.mesh();
  Size const tokens = pass.tokens() / mesh.size(Axis::row),
             features = config_.hidden / mesh.size(Axis::col);
  Tensor x = pass.make_saved({1, tokens, features});
  Range part = pass.range("embedding");
  embedding_.forward(pass, {}, x[0]);
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    part.next(block_name(i));
    Tensor const y = pass.make_saved({2, tokens, features});
    blocks_[i]->forward(pass, x, y);
    x = y;
  }
  part.next("norm");
  Tensor const normed = pass.make_saved({tokens, features});
  norm_.forward(pass, x, normed);
  return normed;
}

void Gpt::forward(Pass& pass, Tensor /*x*/, Tensor /*y*/) {
  Tensor const x = hidden_states(pass);
  Range const part = pass.range("head");
  head_.forward(pass, x, {});
}

void Gpt::backward(Pass& pass, Tensor /*dy*/, Tensor /*dx*/) {
  Scratch frame = pass.scratch();
  Mesh const& mesh = pass.mesh();
  Shape const shape{pass.tokens() / mesh.size(Axis::row), config_.hidden / mesh.size(Axis::col)};
  // Two gradients of the residual stream alternate: what a block is given, and what it gives on.
  Tensor gradient = frame.take(shape, pass.dtype()), next = frame.take(shape, pass.dtype());
  Range part = pass.range("head");
  head_.backward(pass, {}, next);
  part.next("norm");
  norm_.backward(pass, next, gradient);
  for (std::size_t i = blocks_.size(); i-- > 0;) {
    part.next(block_name(i));
    blocks_[i]->backward(pass, gradient, next);
    std::swap(gradient, next);
  }
  part.next("embedding");
  embedding_.backward(pass, gradient, {});
}

void Gpt::logits(Pass& pass, Size row, Tensor out) {
  head_.logits(pass, hidden_states(pass), row, out);
}

}  // namespace dsr
