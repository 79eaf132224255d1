// SPDX-License-Identifier: Apache-2.0
#include "dsr/nn/block.hpp"

#include "residual.hpp"

namespace dsr {

namespace {

/// Dropout sites: the embedding is 0, block i has 2i + 1 (attention) and 2i + 2 (FFN).
std::uint64_t attention_site(int number) { return 2 * static_cast<std::uint64_t>(number) + 1; }
std::uint64_t ffn_site(int number) { return attention_site(number) + 1; }

void drop(Pass& pass, std::uint64_t site, Tensor x, Tensor out) {
  dropout(x, detail::residual_mask(pass, site, x.size(1)), out, pass.stream());
}

}  // namespace

Block::Block(BlockOptions options, Mesh const& mesh)
    : number_(options.number),
      norm1_(options.attention.hidden, mesh, options.norm),
      norm2_(options.attention.hidden, mesh, options.norm),
      attention_(options.attention, mesh),
      ffn_(options.make_ffn ? options.make_ffn(options.number, mesh)
                            : std::make_unique<Ffn>(options.ffn, mesh)) {}

void Block::visit(Visitor& visitor) {
  visitor.child("norm1", norm1_);
  visitor.child("attention", attention_);
  visitor.child("norm2", norm2_);
  visitor.child("ffn", *ffn_);
}

void Block::forward(Pass& pass, Tensor x, Tensor y) {
  if (pass.recompute() != Recompute::block) return run_forward(pass, x, y);
  pass.keep(*this, x.slice(0, x.size(0) - 1, x.size(0)));
  auto const frame = pass.saved_frame(Turn::first);
  run_forward(pass, x, y);
}

void Block::backward(Pass& pass, Tensor dy, Tensor dx) {
  if (pass.recompute() != Recompute::block) return run_backward(pass, dy, dx);
  Tensor const sum = pass.kept(*this);
  auto const frame = pass.saved_frame(Turn::again);
  // Not into the first y: whoever gave it may still read it.
  Tensor const y = pass.make_saved({2, sum.size(1), sum.size(2)});
  run_forward(pass, sum, y);
  run_backward(pass, dy, dx);
}

void Block::run_forward(Pass& pass, Tensor x, Tensor y) {
  Tensor const sum = x[x.size(0) - 1];
  Tensor const normed1 = pass.make_remade(Remade::norm, sum.shape());
  Range part = pass.range("norm1");
  norm1_.forward(pass, x, normed1);
  part.next("attention");
  attention_.forward(pass, normed1, y[0]);
  pass.keep(*this, normed1);
  if (pass.dropout() > 0) drop(pass, attention_site(number_), y[0], y[0]);
  Tensor const normed2 = pass.make_remade(Remade::norm, sum.shape());
  part.next("norm2");
  norm2_.forward(pass, sum, y[0], normed2);
  part.next("ffn");
  ffn_->forward(pass, normed2, y[1]);
  pass.keep(*this, normed2);
  if (pass.dropout() > 0) drop(pass, ffn_site(number_), y[1], y[1]);
}

void Block::run_backward(Pass& pass, Tensor dy, Tensor dx) {
  Scratch frame = pass.scratch();
  Tensor const branch = frame.take(dy.shape(), pass.dtype());
  Tensor const masked = pass.dropout() > 0 ? frame.take(dy.shape(), pass.dtype()) : Tensor{};
  auto const through_dropout = [&](std::uint64_t site, Tensor gradient) {
    if (!masked.defined()) return gradient;
    drop(pass, site, gradient, masked);
    return masked;
  };
  Tensor const normed2 = pass.kept(*this);
  Range part = pass.range("norm2");
  if (pass.remakes()) norm2_.forward_again(pass, normed2);
  part.next("ffn");
  ffn_->backward(pass, through_dropout(ffn_site(number_), dy), branch);
  part.next("norm2");
  norm2_.backward(pass, branch, dy, dx);
  Tensor const normed1 = pass.kept(*this);
  if (pass.remakes_for(Axis::row)) norm1_.forward_again(pass, normed1);
  part.next("attention");
  attention_.backward(pass, through_dropout(attention_site(number_), dx), branch);
  part.next("norm1");
  norm1_.backward(pass, branch, dx, dx);
}

}  // namespace dsr
