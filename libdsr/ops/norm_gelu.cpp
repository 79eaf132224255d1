// SPDX-License-Identifier: Apache-2.0
#include "dsr/ops/norm_gelu.hpp"

#include "libdsr/ops/backend.hpp"
#include "libdsr/ops/check.hpp"

namespace dsr {

using detail::backend;
using detail::Check;
using detail::count;
using detail::Rows;

void norm_gelu(Tensor x, Tensor gamma, Tensor beta, double eps, Tensor statistics, Tensor y,
               Stream& stream) {
  Check const check{"norm_gelu", stream};
  Rows const size = check.rows("x", x);
  check.that(size.features >= 1, "x", "rows of no features", "one feature or more");
  check.exactly("gamma", gamma, {size.features}, x.dtype());
  if (beta.defined()) check.exactly("beta", beta, {size.features}, x.dtype());
  check.exactly("statistics", statistics, {size.rows, 2}, accumulator_of(x.dtype()));
  check.same("y", y, x);
  count(stream, {x, gamma, beta, statistics, y});
  backend(stream.device()).norm_gelu(x, gamma, beta, eps, statistics, y, stream);
}

void norm_gelu_backward(Tensor dy, Tensor x, Tensor statistics, Tensor gamma, Tensor beta,
                        Tensor dx, Tensor dgamma, Tensor dbeta, Stream& stream) {
  Check const check{"norm_gelu_backward", stream};
  Rows const size = check.rows("dy", dy);
  check.that(size.features >= 1, "dy", "rows of no features", "one feature or more");
  DType const sums = accumulator_of(dy.dtype());
  check.same("x", x, dy);
  check.exactly("statistics", statistics, {size.rows, 2}, sums);
  check.exactly("gamma", gamma, {size.features}, dy.dtype());
  if (beta.defined()) check.exactly("beta", beta, {size.features}, dy.dtype());
  check.same("dx", dx, dy);
  check.exactly("dgamma", dgamma, {size.features}, sums);
  if (dbeta.defined()) check.exactly("dbeta", dbeta, {size.features}, sums);
  count(stream, {dy, x, statistics, gamma, beta, dx, dgamma, dgamma, dbeta, dbeta});
  backend(stream.device())
      .norm_gelu_backward(dy, x, statistics, gamma, beta, dx, dgamma, dbeta, stream);
}

}  // namespace dsr
