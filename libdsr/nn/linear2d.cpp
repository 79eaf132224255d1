// SPDX-License-Identifier: Apache-2.0
#include "dsr/nn/linear2d.hpp"

#include "dsr/core/error.hpp"
#include "dsr/ops/elementwise.hpp"
#include "dsr/ops/matmul.hpp"
#include "exchange.hpp"

namespace dsr {

namespace {

using detail::gather;
using detail::Gathered;
using detail::ranks;

void require_divides(std::string const& what, Size size, std::string const& parts_name,
                     Size parts) {
  if (size % parts == 0) return;
  throw InvalidArgument(problem("linear2d",
                                what + " % " + parts_name + " = " + std::to_string(size) + " % " +
                                    std::to_string(parts) + " = " + std::to_string(size % parts),
                                "0", std::to_string(round_up(size, parts))));
}

Shape stored_outputs(Shape const& features, Linear2DOptions const& options) {
  return options.units.rank() == 0 ? Shape{features[0]} : options.units;
}

/// W as stored: output features in their units, then input features; outputs cut over one axis,
/// inputs over the other.
Shard weight_shard(Direction direction, Shape const& features, Mesh const& mesh,
                   Linear2DOptions const& options) {
  bool const inward = direction == Direction::to_inner;
  Shape const outputs = stored_outputs(features, options);
  std::vector<Size> sizes(outputs.begin(), outputs.end());
  sizes.push_back(features[1]);
  int const last = static_cast<int>(sizes.size()) - 1;
  std::vector<Cut> cuts{{0, inward ? Axis::row : Axis::col},
                        {last, inward ? Axis::col : Axis::row}};
  return Shard{Shape{std::span<Size const>{sizes}}, std::move(cuts), mesh.shape()};
}

Shard bias_shard(Direction direction, Shape const& features, Mesh const& mesh,
                 Linear2DOptions const& options) {
  AxisSet const cut = direction == Direction::to_inner ? kModelAxes : AxisSet{Axis::col};
  return Shard{stored_outputs(features, options), {{0, cut}}, mesh.shape()};
}

void validate(Direction direction, Shape const& features, Mesh const& mesh,
              Linear2DOptions const& options) {
  bool const inward = direction == Direction::to_inner;
  Shape const outputs = stored_outputs(features, options);
  if (outputs.elements() != features[0]) {
    throw InvalidArgument(problem(
        "linear2d",
        "units " + to_string(outputs) + " of " + std::to_string(features[0]) + " output features",
        "a product equal to the output features"));
  }
  Size const both = mesh.size(kModelAxes);
  require_divides(inward ? "output units" : "input features", inward ? outputs[0] : features[1],
                  "(row·col)", both);
  require_divides(inward ? "input features" : "output features", inward ? features[1] : outputs[0],
                  "col", mesh.size(Axis::col));
}

Tensor as_matrix(Tensor stored) {
  return stored.reshape({stored.elements() / stored.size(-1), stored.size(-1)});
}

/// [M, N] → columns [part·N/parts, (part + 1)·N/parts), a strided view.
Tensor columns(Tensor matrix, Size part, Size parts) {
  Size const width = matrix.size(1) / parts;
  return matrix.slice(1, part * width, (part + 1) * width);
}

}  // namespace

Linear2D::Linear2D(Direction direction, Shape features, Mesh const& mesh, Linear2DOptions options)
    : direction_(direction),
      options_(std::move(options)),
      weight_(
          (validate(direction, features, mesh, options_),
           weight_shard(direction, features, mesh, options_)),
          {.init = normal_init(options_.stddev), .partial_over = Axis::dp, .decay = Decay::yes}) {
  if (options_.bias == Bias::none) return;
  // A bias of the residual layout is added to T/R tokens by every row: its gradient is partial
  // there.
  AxisSet const partial =
      direction == Direction::to_inner ? AxisSet{Axis::dp} : Axis::dp | Axis::row;
  bias_.emplace(
      bias_shard(direction, features, mesh, options_),
      ParameterTraits{.init = constant_init(0), .partial_over = partial, .decay = Decay::no});
}

Parameter& Linear2D::bias() {
  if (!bias_)
    throw InvalidArgument(problem("linear2d", "no bias", "Bias::by_layer or Bias::by_caller"));
  return *bias_;
}

void Linear2D::visit(Visitor& visitor) {
  visitor.parameter("weight", weight_);
  if (bias_) visitor.parameter("bias", *bias_);
}

void Linear2D::forward(Pass& pass, Tensor x, Tensor y) {
  if (direction_ == Direction::to_inner)
    forward_to_inner(pass, x, y, {});
  else
    forward_to_residual(pass, x, y);
}

void Linear2D::forward_gelu(Pass& pass, Tensor x, Tensor h, Tensor y) {
  forward_to_inner(pass, x, h, {.h = h, .y = y, .dbias = {}});
}

void Linear2D::backward(Pass& pass, Tensor dy, Tensor dx) {
  if (direction_ == Direction::to_inner)
    backward_to_inner(pass, dy, dx);
  else
    backward_to_residual(pass, dy, dx, {});
  finish_backward(pass, dy);
}

void Linear2D::backward_gelu(Pass& pass, Tensor dy, Tensor h, Tensor dh, Tensor dbias) {
  backward_to_residual(pass, dy, dh, {.h = h, .y = {}, .dbias = dbias});
  finish_backward(pass, dy);
}

void Linear2D::finish_backward(Pass& pass, Tensor dy) {
  pass.gradient_added(weight_);
  if (options_.bias == Bias::by_layer) {
    add_bias_gradient(dy, bias_->gradient().reshape({dy.size(-1)}), pass.stream());
    pass.gradient_added(*bias_);
  }
}

void Linear2D::forward_to_inner(Pass& pass, Tensor x, Tensor y, Gelu const& activation) {
  Scratch frame = pass.scratch();
  Size const parts = ranks(pass, Axis::col);
  Tensor const w = as_matrix(weight_.value());
  bool const again = pass.regather() == Regather::yes || pass.mode() == Mode::evaluate;
  Gathered const x_all = gather(pass, x, Axis::row, [&](Shape const& shape) {
    return again ? frame.take(shape, pass.dtype()) : pass.make_saved(shape);
  });
  pass.keep(*this, again ? x : x_all.tensor);

  bool const adds = options_.bias == Bias::by_layer;
  MatmulOptions const by_rows{.b = Transpose::yes};
  pass.stream().wait(x_all.ready);
  if (parts == 1) {
    if (activation.h.defined())
      matmul_gelu(x_all.tensor, w, bias_row(), y, activation.y, by_rows, pass.stream());
    else if (adds)
      matmul_bias(x_all.tensor, w, bias_row(), y, by_rows, pass.stream());
    else
      matmul(x_all.tensor, w, y, by_rows, pass.stream());
    return;
  }
  // Feature blocks of y for each rank of col, one after the other: the scatter takes them as they
  // lie.
  Tensor const partial = frame.take({parts, y.size(0), y.size(1)}, pass.dtype());
  matmul(x_all.tensor, w.reshape({parts, w.size(0) / parts, w.size(1)}), partial, by_rows,
         pass.stream());
  detail::issue_scatter(pass, partial.reshape({parts * y.size(0), y.size(1)}), y, Axis::col);
  pass.compute_after_exchange();
  if (activation.h.defined())
    gelu(y, bias_row(), activation.y, pass.stream());
  else if (adds)
    add_bias(y, bias_row(), pass.stream());
}

void Linear2D::backward_to_inner(Pass& pass, Tensor dy, Tensor dx) {
  // Compute waits for the exchanges before the frame ends, so nothing reads its memory afterwards.
  Scratch frame = pass.scratch();
  auto const take = [&](Shape const& shape) { return frame.take(shape, pass.dtype()); };
  Size const parts = ranks(pass, Axis::col);
  Tensor const w = as_matrix(weight_.value()), dw = as_matrix(weight_.gradient());
  Tensor const x = pass.kept(*this);

  Gathered const dy_all = gather(pass, dy, Axis::col, take);
  bool const again = pass.regather() == Regather::yes;
  Gathered const x_all = again ? gather(pass, x, Axis::row, take) : Gathered{x, {}};

  Tensor const dy_blocks = dy_all.tensor.reshape({parts, dy.size(0), dy.size(1)});
  Shape const block_shape{parts, w.size(0) / parts, w.size(1)};
  Shape const partial_shape{dx.size(0) * ranks(pass, Axis::row), dx.size(1)};
  Tensor const partial = ranks(pass, Axis::row) == 1 ? dx : take(partial_shape);
  pass.stream().wait(dy_all.ready);
  matmul(dy_blocks, w.reshape(block_shape), partial, {}, pass.stream());
  detail::issue_scatter(pass, partial, dx, Axis::row);

  // The weight's half runs beside the scatter of dx.
  pass.stream().wait(x_all.ready);
  matmul(dy_blocks, x_all.tensor, dw.reshape(block_shape), {.a = Transpose::yes, .beta = 1},
         pass.stream());
  pass.compute_after_exchange();
}

void Linear2D::forward_to_residual(Pass& pass, Tensor x, Tensor y) {
  Scratch frame = pass.scratch();
  Size const parts = ranks(pass, Axis::col);
  Tensor const w = as_matrix(weight_.value());
  bool const again = pass.regather() == Regather::yes || pass.mode() == Mode::evaluate;
  Gathered const x_all = gather(pass, x, Axis::col, [&](Shape const& shape) {
    return again ? frame.take(shape, pass.dtype()) : pass.make_saved(shape);
  });
  pass.keep(*this, again ? x : x_all.tensor);

  Tensor const blocks = x_all.tensor.reshape({parts, x.size(0), x.size(1)});
  Shape const partial_shape{y.size(0) * ranks(pass, Axis::row), y.size(1)};
  Tensor const partial = ranks(pass, Axis::row) == 1 ? y : frame.take(partial_shape, pass.dtype());
  // Where the rows' partial sums are still to be added up, the bias comes after that.
  bool const adds = options_.bias == Bias::by_layer, whole = ranks(pass, Axis::row) == 1;
  pass.stream().wait(x_all.ready);
  for (Size part = 0; part < parts; ++part) {
    MatmulOptions const options{.b = Transpose::yes, .beta = part == 0 ? 0.0 : 1.0};
    if (adds && whole && part + 1 == parts)
      matmul_bias(blocks[part], columns(w, part, parts), bias_row(), partial, options,
                  pass.stream());
    else
      matmul(blocks[part], columns(w, part, parts), partial, options, pass.stream());
  }
  detail::issue_scatter(pass, partial, y, Axis::row);
  pass.compute_after_exchange();
  if (adds && !whole) add_bias(y, bias_row(), pass.stream());
}

void Linear2D::backward_to_residual(Pass& pass, Tensor dy, Tensor dx, Gelu const& before) {
  Scratch frame = pass.scratch();
  auto const take = [&](Shape const& shape) { return frame.take(shape, pass.dtype()); };
  Size const parts = ranks(pass, Axis::col);
  Tensor const w = as_matrix(weight_.value()), dw = as_matrix(weight_.gradient());
  Tensor const x = pass.kept(*this);

  Gathered const dy_all = gather(pass, dy, Axis::row, take);
  bool const again = pass.regather() == Regather::yes;
  Gathered const x_all = again ? gather(pass, x, Axis::col, take) : Gathered{x, {}};

  Shape const block_shape{parts, dx.size(0), dx.size(1)};
  Tensor const x_blocks = x_all.tensor.reshape(block_shape);
  Tensor const partial = parts == 1 ? dx.reshape(block_shape) : take(block_shape);
  pass.stream().wait(dy_all.ready);
  if (parts == 1 && before.h.defined()) {
    matmul_gelu_backward(dy_all.tensor, w, before.h, dx, before.dbias, {}, pass.stream());
  } else {
    for (Size part = 0; part < parts; ++part) {
      matmul(dy_all.tensor, columns(w, part, parts), partial[part], {}, pass.stream());
    }
  }
  detail::issue_scatter(pass, partial.reshape({parts * dx.size(0), dx.size(1)}), dx, Axis::col);

  pass.stream().wait(x_all.ready);
  for (Size part = 0; part < parts; ++part) {
    matmul(dy_all.tensor, x_blocks[part], columns(dw, part, parts),
           {.a = Transpose::yes, .beta = 1}, pass.stream());
  }
  pass.compute_after_exchange();
  if (parts > 1 && before.h.defined())
    gelu_backward(before.h, dx, dx, before.dbias, pass.stream());
}

}  // namespace dsr
