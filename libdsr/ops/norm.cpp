// SPDX-License-Identifier: Apache-2.0
#include "dsr/ops/norm.hpp"

#include <string>

#include "libdsr/ops/backend.hpp"
#include "libdsr/ops/check.hpp"

namespace dsr {

using detail::backend;
using detail::Check;
using detail::count;
using detail::Rows;

void residual_moments(Tensor sum, Tensor branch, Tensor moments, Stream& stream) {
  Check const check{"residual_moments", stream};
  Rows const size = check.rows("branch", branch);
  check.that(size.features >= 1, "branch", "rows of no features", "one feature or more");
  if (sum.defined()) check.same("sum", sum, branch);
  check.exactly("moments", moments, {size.rows, 2}, accumulator_of(branch.dtype()));
  count(stream, {sum, branch, sum.defined() ? branch : Tensor{}, moments});
  backend(stream.device()).residual_moments(sum, branch, moments, stream);
}

void merge_moments(Tensor gathered, Size features, double eps, Tensor statistics, Stream& stream) {
  Check const check{"merge_moments", stream};
  check.floating("gathered", gathered);
  check.tensor(gathered.rank() == 3 && gathered.size(0) >= 1 && gathered.size(2) == 2, "gathered",
               gathered, "[P, M, 2] with P >= 1");
  check.that(features >= 1, "features", std::to_string(features), "1 or more");
  check.exactly("statistics", statistics, {gathered.size(1), 2}, accumulator_of(gathered.dtype()));
  count(stream, {gathered, statistics});
  backend(stream.device()).merge_moments(gathered, features, eps, statistics, stream);
}

void normalize(Tensor x, Tensor statistics, Tensor gamma, Tensor beta, Tensor y, Stream& stream) {
  Check const check{"normalize", stream};
  Rows const size = check.rows("x", x);
  check.exactly("statistics", statistics, {size.rows, 2}, accumulator_of(x.dtype()));
  check.exactly("gamma", gamma, {size.features}, x.dtype());
  if (beta.defined()) check.exactly("beta", beta, {size.features}, x.dtype());
  check.same("y", y, x);
  count(stream, {x, statistics, gamma, beta, y});
  backend(stream.device()).normalize(x, statistics, gamma, beta, y, stream);
}

void residual_norm(Tensor sum, Tensor branch, Tensor gamma, Tensor beta, double eps,
                   Tensor statistics, Tensor y, Stream& stream) {
  Check const check{"residual_norm", stream};
  Rows const size = check.rows("branch", branch);
  check.that(size.features >= 1, "branch", "rows of no features", "one feature or more");
  if (sum.defined()) check.same("sum", sum, branch);
  check.exactly("gamma", gamma, {size.features}, branch.dtype());
  if (beta.defined()) check.exactly("beta", beta, {size.features}, branch.dtype());
  check.exactly("statistics", statistics, {size.rows, 2}, accumulator_of(branch.dtype()));
  check.same("y", y, branch);
  count(stream, {sum, branch, sum.defined() ? branch : Tensor{}, gamma, beta, statistics, y});
  backend(stream.device()).residual_norm(sum, branch, gamma, beta, eps, statistics, y, stream);
}

void norm_backward_sums(Tensor dy, Tensor x, Tensor statistics, Tensor gamma, Tensor sums,
                        Tensor dgamma, Tensor dbeta, Stream& stream) {
  Check const check{"norm_backward_sums", stream};
  Rows const size = check.rows("dy", dy);
  check.same("x", x, dy);
  check.exactly("statistics", statistics, {size.rows, 2}, accumulator_of(dy.dtype()));
  check.exactly("gamma", gamma, {size.features}, dy.dtype());
  check.exactly("sums", sums, {size.rows, 2}, accumulator_of(dy.dtype()));
  check.exactly("dgamma", dgamma, {size.features}, accumulator_of(dy.dtype()));
  if (dbeta.defined()) check.exactly("dbeta", dbeta, {size.features}, accumulator_of(dy.dtype()));
  count(stream, {dy, x, statistics, gamma, sums, dgamma, dgamma, dbeta, dbeta});
  backend(stream.device())
      .norm_backward_sums(dy, x, statistics, gamma, sums, dgamma, dbeta, stream);
}

void norm_backward(Tensor dy, Tensor x, Tensor statistics, Tensor gamma, Tensor sums, Size features,
                   Tensor dresidual, Tensor dx, Stream& stream) {
  Check const check{"norm_backward", stream};
  Rows const size = check.rows("dy", dy);
  check.same("x", x, dy);
  check.exactly("statistics", statistics, {size.rows, 2}, accumulator_of(dy.dtype()));
  check.exactly("gamma", gamma, {size.features}, dy.dtype());
  check.exactly("sums", sums, {size.rows, 2}, accumulator_of(dy.dtype()));
  check.that(features >= 1, "features", std::to_string(features), "1 or more");
  if (dresidual.defined()) check.same("dresidual", dresidual, dy);
  check.same("dx", dx, dy);
  count(stream, {dy, x, statistics, gamma, sums, dresidual, dx});
  backend(stream.device())
      .norm_backward(dy, x, statistics, gamma, sums, features, dresidual, dx, stream);
}

void residual_norm_backward(Tensor dy, Tensor x, Tensor statistics, Tensor gamma, Tensor dresidual,
                            Tensor dx, Tensor dgamma, Tensor dbeta, Stream& stream) {
  Check const check{"residual_norm_backward", stream};
  Rows const size = check.rows("dy", dy);
  check.that(size.features >= 1, "dy", "rows of no features", "one feature or more");
  check.same("x", x, dy);
  check.exactly("statistics", statistics, {size.rows, 2}, accumulator_of(dy.dtype()));
  check.exactly("gamma", gamma, {size.features}, dy.dtype());
  if (dresidual.defined()) check.same("dresidual", dresidual, dy);
  check.same("dx", dx, dy);
  check.exactly("dgamma", dgamma, {size.features}, accumulator_of(dy.dtype()));
  if (dbeta.defined()) check.exactly("dbeta", dbeta, {size.features}, accumulator_of(dy.dtype()));
  count(stream, {dy, x, statistics, gamma, dresidual, dx, dgamma, dgamma, dbeta, dbeta});
  backend(stream.device())
      .residual_norm_backward(dy, x, statistics, gamma, dresidual, dx, dgamma, dbeta, stream);
}

}  // namespace dsr
