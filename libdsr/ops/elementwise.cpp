// SPDX-License-Identifier: Apache-2.0
#include "dsr/ops/elementwise.hpp"

#include <string>

#include "libdsr/ops/backend.hpp"
#include "libdsr/ops/check.hpp"

namespace dsr {

using detail::backend;
using detail::Check;
using detail::count;
using detail::Rows;

namespace {

bool rows_are_whole(Tensor const& x) {
  return x.rank() == 0 || x.size(-1) <= 1 || x.stride(-1) == 1;
}

}  // namespace

void fill(Tensor x, double value, Stream& stream) {
  Check const check{"fill", stream};
  check.usable("x", x);
  check.tensor(x.contiguous(), "x", x, "a contiguous tensor");
  count(stream, {x});
  backend(stream.device()).fill(x, value, stream);
}

void copy(Tensor x, Tensor out, Stream& stream) {
  Check const check{"copy", stream};
  check.usable("x", x);
  check.usable("out", out);
  check.tensor(out.shape() == x.shape() && out.dtype() == x.dtype(), "out", out,
               to_string(x.shape()) + " " + std::string(name_of(x.dtype())));
  check.tensor(rows_are_whole(x), "x", x, "unit stride in the last dimension");
  check.tensor(rows_are_whole(out), "out", out, "unit stride in the last dimension");
  count(stream, {x, out});
  backend(stream.device()).copy(x, out, stream);
}

void add(Tensor a, Tensor b, Tensor out, Stream& stream) {
  Check const check{"add", stream};
  check.floating("a", a);
  check.same("b", b, a);
  check.same("out", out, a);
  count(stream, {a, b, out});
  backend(stream.device()).add(a, b, out, stream);
}

void scale(Tensor x, double factor, Stream& stream) {
  Check const check{"scale", stream};
  check.floating("x", x);
  count(stream, {x, x});
  backend(stream.device()).scale(x, factor, stream);
}

void add_bias(Tensor y, Tensor bias, Stream& stream) {
  Check const check{"add_bias", stream};
  Rows const size = check.rows("y", y);
  check.exactly("bias", bias, {size.features}, y.dtype());
  count(stream, {y, y, bias});
  backend(stream.device()).add_bias(y, bias, stream);
}

void add_bias_gradient(Tensor dy, Tensor dbias, Stream& stream) {
  Check const check{"add_bias_gradient", stream};
  Rows const size = check.rows("dy", dy);
  check.exactly("dbias", dbias, {size.features}, accumulator_of(dy.dtype()));
  count(stream, {dy, dbias, dbias});
  backend(stream.device()).add_bias_gradient(dy, dbias, stream);
}

void gelu(Tensor h, Tensor bias, Tensor y, Stream& stream) {
  Check const check{"gelu", stream};
  Rows const size = check.rows("h", h);
  if (bias.defined()) check.exactly("bias", bias, {size.features}, h.dtype());
  check.same("y", y, h);
  count(stream, {h, bias, bias.defined() ? h : Tensor{}, y});
  backend(stream.device()).gelu(h, bias, y, stream);
}

void gelu_backward(Tensor h, Tensor dy, Tensor dh, Tensor dbias, Stream& stream) {
  Check const check{"gelu_backward", stream};
  Rows const size = check.rows("h", h);
  check.same("dy", dy, h);
  check.same("dh", dh, h);
  if (dbias.defined()) check.exactly("dbias", dbias, {size.features}, accumulator_of(h.dtype()));
  count(stream, {h, dy, dh, dbias, dbias});
  backend(stream.device()).gelu_backward(h, dy, dh, dbias, stream);
}

void dropout(Tensor x, DropoutMask const& mask, Tensor out, Stream& stream) {
  Check const check{"dropout", stream};
  Rows const size = check.rows("x", x);
  check.same("out", out, x);
  check.exactly("mask.ordinals", mask.ordinals, {size.rows}, DType::i32);
  check.exactly("mask.positions", mask.positions, {size.rows}, DType::i32);
  check.that(mask.probability >= 0 && mask.probability < 1, "mask.probability",
             std::to_string(mask.probability), "0 <= probability < 1");
  check.that(mask.first_feature >= 0, "mask.first_feature", std::to_string(mask.first_feature),
             "0 or more");
  count(stream, {x, mask.ordinals, mask.positions, out});
  backend(stream.device()).dropout(x, mask, out, stream);
}

}  // namespace dsr
