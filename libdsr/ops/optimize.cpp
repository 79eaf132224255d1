// SPDX-License-Identifier: Apache-2.0
#include "dsr/ops/optimize.hpp"

#include <string>

#include "libdsr/ops/backend.hpp"
#include "libdsr/ops/check.hpp"

namespace dsr {

void add_sum_of_squares(Tensor x, Tensor total, Stream& stream) {
  detail::Check const check{"add_sum_of_squares", stream};
  check.floating("x", x);
  check.exactly("total", total, {1}, DType::f64);
  detail::count(stream, {x, total, total});
  detail::backend(stream.device()).add_sum_of_squares(x, total, stream);
}

void adamw(Tensor value, Tensor gradient, Tensor m, Tensor v, AdamWStep const& step, Tensor rounded,
           Stream& stream) {
  detail::Check const check{"adamw", stream};
  check.floating("value", value);
  check.tensor(value.rank() == 1, "value", value, "[n]");
  check.same("gradient", gradient, value);
  check.same("m", m, value);
  check.same("v", v, value);
  check.that(step.number >= 1, "step.number", std::to_string(step.number), "1 or more");
  check.that(step.beta1 >= 0 && step.beta1 < 1, "step.beta1", std::to_string(step.beta1),
             "0 <= beta1 < 1");
  check.that(step.beta2 >= 0 && step.beta2 < 1, "step.beta2", std::to_string(step.beta2),
             "0 <= beta2 < 1");
  if (rounded.defined()) check.exactly("rounded", rounded, value.shape(), DType::bf16);
  bool const zeroed = step.gradient_after == GradientAfter::zero;
  detail::count(stream,
                {value, value, gradient, zeroed ? gradient : Tensor{}, m, m, v, v, rounded});
  detail::backend(stream.device()).adamw(value, gradient, m, v, step, rounded, stream);
}

}  // namespace dsr
