// SPDX-License-Identifier: Apache-2.0
#include "dsr/nn/attention.hpp"

#include "dsr/core/error.hpp"
#include "dsr/ops/attention.hpp"

namespace dsr {

namespace {

AttentionOptions checked(AttentionOptions const& options) {
  auto const require = [](char const* equation, Size a, Size b) {
    if (b > 0 && a % b == 0) return;
    throw InvalidArgument(problem(
        "attention", std::string(equation) + " = " + std::to_string(a) + " % " + std::to_string(b),
        "0"));
  };
  require("hidden % heads", options.hidden, options.heads);
  require("heads % groups", options.heads, options.groups_or_heads());
  return options;
}

}  // namespace

Attention::Attention(AttentionOptions options, Mesh const& mesh)
    : options_(checked(options)),
      local_groups_(options_.groups_or_heads() / mesh.size(kModelAxes)),
      heads_per_group_(options_.heads / options_.groups_or_heads()),
      head_size_(options_.hidden / options_.heads),
      qkv_(Direction::to_inner,
           {options_.groups_or_heads() * (heads_per_group_ + 2) * head_size_, options_.hidden},
           mesh,
           {.stddev = options_.stddev,
            .bias = options_.bias,
            .units = {options_.groups_or_heads(), heads_per_group_ + 2, head_size_}}),
      output_(Direction::to_residual, {options_.hidden, options_.hidden}, mesh,
              {.stddev = options_.output_stddev, .bias = options_.bias}) {}

void Attention::visit(Visitor& visitor) {
  visitor.child("qkv", qkv_);
  visitor.child("output", output_);
}

void Attention::forward(Pass& pass, Tensor x, Tensor y) {
  Size const tokens = pass.tokens(), heads = local_groups_ * heads_per_group_;
  Tensor const qkv = pass.make_saved({tokens, local_groups_, heads_per_group_ + 2, head_size_});
  Tensor const context = pass.make_saved({tokens, heads * head_size_});
  Tensor const log_sum = pass.make_saved({heads, tokens}, pass.statistics_dtype());
  qkv_.forward(pass, x, qkv.reshape({tokens, qkv.elements() / tokens}));
  attention(qkv, pass.batch().sequence_starts, context, log_sum, pass.stream());
  for (Tensor const& view : {qkv, context, log_sum}) pass.keep(*this, view);
  output_.forward(pass, context, y);
}

void Attention::backward(Pass& pass, Tensor dy, Tensor dx) {
  Scratch frame = pass.scratch();
  Size const tokens = pass.tokens(), features = local_groups_ * heads_per_group_ * head_size_;
  Tensor const dcontext = frame.take({tokens, features}, pass.dtype());
  output_.backward(pass, dy, dcontext);
  Tensor const log_sum = pass.kept(*this), context = pass.kept(*this), qkv = pass.kept(*this);
  Tensor const dqkv = frame.take(qkv.shape(), pass.dtype());
  attention_backward(qkv, pass.batch().sequence_starts, context, log_sum, dcontext, dqkv,
                     pass.stream());
  qkv_.backward(pass, dqkv.reshape({tokens, qkv.elements() / tokens}), dx);
}

}  // namespace dsr
