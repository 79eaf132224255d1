// SPDX-License-Identifier: Apache-2.0
#include "dsr/nn/lm_head.hpp"

#include <algorithm>

#include "dsr/core/error.hpp"
#include "dsr/ops/cross_entropy.hpp"
#include "dsr/ops/elementwise.hpp"
#include "dsr/ops/matmul.hpp"
#include "exchange.hpp"

namespace dsr {

namespace {

Tensor columns(Tensor matrix, Size part, Size parts) {
  Size const width = matrix.size(1) / parts;
  return matrix.slice(1, part * width, (part + 1) * width);
}

/// x [P, T, H/P] in feature blocks, tokens [begin, end) · wᵀ → logits [end − begin, V/(R·C)].
void project(Pass& pass, Tensor x, Size begin, Size end, Tensor w, Tensor logits) {
  for (Size part = 0; part < x.size(0); ++part) {
    matmul(x[part].slice(0, begin, end), columns(w, part, x.size(0)), logits,
           {.b = Transpose::yes, .beta = part == 0 ? 0.0 : 1.0}, pass.stream());
  }
}

/// Reduces small statistics over row × col.
void reduce(Pass& pass, Tensor x, Reduce operation) {
  if (detail::ranks(pass, kModelAxes) == 1) return;
  pass.exchange_after_compute();
  all_reduce(x, operation, pass.mesh().over(kModelAxes), pass.exchange());
  pass.compute_after_exchange();
}

}  // namespace

LmHead::LmHead(LmHeadOptions options, Mesh const& mesh, Parameter* tied)
    : options_(options), tied_(tied) {
  if (tied != nullptr) return;
  own_ = std::make_unique<Parameter>(
      Shard{{options.vocabulary, options.hidden}, {{0, kModelAxes, Remainder::pad}}, mesh.shape()},
      ParameterTraits{.init = normal_init(options.stddev), .decay = Decay::yes});
}

void LmHead::visit(Visitor& visitor) {
  if (own_) visitor.parameter("weight", *own_);
}

Size LmHead::first_column(Mesh const& mesh) const {
  return mesh.place_in(kModelAxes) * weight().shard().local_shape()[0];
}

Size LmHead::valid_columns(Mesh const& mesh) const {
  return std::clamp(options_.vocabulary - first_column(mesh), Size{0},
                    weight().shard().local_shape()[0]);
}

Tensor LmHead::gathered(Pass& pass, Scratch& frame, Tensor x) {
  auto const take = [&](Shape const& shape) { return frame.take(shape, pass.dtype()); };
  detail::Gathered const half = detail::gather(pass, x, Axis::row, take);
  detail::Gathered const whole = detail::gather(pass, half.tensor, Axis::col, take);
  pass.compute_after_exchange();
  return whole.tensor.reshape({detail::ranks(pass, Axis::col), pass.tokens(), x.size(1)});
}

void LmHead::forward(Pass& pass, Tensor x, Tensor /*y*/) {
  bool const train = pass.mode() == Mode::train;
  Tensor const dx = train ? pass.make_saved(x.shape()) : Tensor{};
  Scratch frame = pass.scratch();
  Size const parts = detail::ranks(pass, Axis::col), rows = detail::ranks(pass, Axis::row);
  Tensor const x_all = gathered(pass, frame, x);
  Tensor half, partial;
  if (train) {
    half = rows == 1 ? dx : frame.take({pass.tokens(), x.size(1)}, pass.dtype());
    partial = parts == 1 ? half.reshape(x_all.shape()) : frame.take(x_all.shape(), pass.dtype());
  }
  Size const chunk =
      options_.chunk_tokens > 0 ? options_.chunk_tokens : default_chunk_tokens(pass.dtype());
  for (Size begin = 0; begin < pass.tokens(); begin += chunk) {
    run_chunk(pass, x_all, begin, std::min(begin + chunk, pass.tokens()), partial);
  }
  if (!train) return;
  pass.gradient_added(weight());
  detail::issue_scatter(pass, partial.reshape({parts * pass.tokens(), x.size(1)}), half, Axis::col);
  detail::issue_scatter(pass, half, dx, Axis::row);
  pass.compute_after_exchange();
  pass.keep(*this, dx);
}

void LmHead::add_loss(Pass& pass, Tensor logits, Tensor targets) {
  Scratch frame = pass.scratch();
  Size const valid = valid_columns(pass.mesh()), first = first_column(pass.mesh());
  Tensor const sums = frame.take({logits.size(0), 2}, pass.statistics_dtype());
  // Taken either way: an evaluation must not need more scratch than training, which is measured.
  Tensor const top = frame.take({logits.size(0)}, pass.statistics_dtype());
  if (detail::ranks(pass, kModelAxes) == 1 && pass.mode() == Mode::train) {
    cross_entropy(logits, valid, targets, sums, pass.loss(), pass.stream());
    return;
  }
  logits_max(logits, valid, top, pass.stream());
  reduce(pass, top, Reduce::max);
  logits_exp(logits, valid, top, targets, first, sums, pass.stream());
  reduce(pass, sums, Reduce::sum);
  add_cross_entropy(sums, targets, pass.loss(), pass.stream());
  if (pass.mode() == Mode::train) {
    logits_gradient(logits, valid, sums, targets, first, pass.stream());
  }
}

void LmHead::run_chunk(Pass& pass, Tensor x, Size begin, Size end, Tensor dx) {
  Scratch frame = pass.scratch();
  Tensor const w = weight().value();
  Tensor const logits = frame.take({end - begin, w.size(0)}, pass.dtype());
  project(pass, x, begin, end, w, logits);
  add_loss(pass, logits, pass.batch().targets.slice(0, begin, end));
  if (!dx.defined()) return;
  for (Size part = 0; part < x.size(0); ++part) {
    Tensor const x_part = x[part].slice(0, begin, end), dx_part = dx[part].slice(0, begin, end);
    matmul(logits, columns(w, part, x.size(0)), dx_part, {}, pass.stream());
    matmul(logits, x_part, columns(weight().gradient(), part, x.size(0)),
           {.a = Transpose::yes, .beta = 1}, pass.stream());
  }
}

void LmHead::backward(Pass& pass, Tensor /*dy*/, Tensor dx) {
  copy(pass.kept(*this), dx, pass.stream());
}

void LmHead::logits(Pass& pass, Tensor x, Size row, Tensor out) {
  if (row < 0 || row >= pass.tokens() || out.elements() != options_.vocabulary) {
    throw InvalidArgument(problem(
        "lm_head", "row " + std::to_string(row) + " and an output of " + to_string(out.shape()),
        "a row below " + std::to_string(pass.tokens()) + " and [" +
            std::to_string(options_.vocabulary) + "]"));
  }
  Scratch frame = pass.scratch();
  Size const columns_here = weight().shard().local_shape()[0],
             ranks = detail::ranks(pass, kModelAxes);
  Tensor const local = frame.take({1, columns_here}, pass.dtype());
  project(pass, gathered(pass, frame, x), row, row + 1, weight().value(), local);
  Tensor const all = frame.take({ranks * columns_here}, pass.dtype());
  pass.exchange_after_compute();
  all_gather(local.reshape({columns_here}), all, pass.mesh().over(kModelAxes), pass.exchange());
  pass.compute_after_exchange();
  // Padding stands at the end of the last parts: the first V columns are the vocabulary.
  copy(all.slice(0, 0, options_.vocabulary), out, pass.stream());
}

}  // namespace dsr
