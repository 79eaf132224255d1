// SPDX-License-Identifier: Apache-2.0
#include "dsr/ops/optimize.hpp"

#include "dsr/core/bf16.hpp"
#include "ops/array.hpp"
#include "reference/optimize.hpp"

namespace dsr {
namespace {

using test::Array;
using test::Values;

constexpr Size kCount = 40001;
AdamWStep const kStep{
    .lr = 1e-2, .eps = 1e-6, .weight_decay = 0.1, .gradient_scale = 0.25, .number = 3};

}  // namespace

TEST_CASE("adamw equals the paper's update") {
  Stream stream{kCpu};
  DType const type = GENERATE(DType::f32, DType::f64);
  Array value = test::random({kCount}, type, 1), gradient = test::random({kCount}, type, 2);
  Array m = test::random({kCount}, type, 3), v = test::random({kCount}, type, 4);
  Values squares = v.values();
  for (double& x : squares) x = x * x + 1e-3;
  v.set(squares);
  Values expected[3] = {value.values(), m.values(), v.values()};
  Values const slope = gradient.values();
  for (std::size_t i = 0; i < slope.size(); ++i) {
    reference::Element const next =
        reference::adamw({expected[0][i], expected[1][i], expected[2][i]}, slope[i], kStep);
    expected[0][i] = next.value;
    expected[1][i] = next.m;
    expected[2][i] = next.v;
  }
  adamw(value.tensor, gradient.tensor, m.tensor, v.tensor, kStep, {}, stream);
  CHECK(test::distance(value.values(), expected[0]) <= test::tolerance(type));
  CHECK(test::distance(m.values(), expected[1]) <= test::tolerance(type));
  CHECK(test::distance(v.values(), expected[2]) <= test::tolerance(type));
  CHECK(gradient.values() == slope);
}

TEST_CASE("adamw leaves zeros in the gradient if asked to, and changes nothing else") {
  Stream stream{kCpu};
  DType const type = GENERATE(DType::f32, DType::f64);
  Values results[2];
  for (GradientAfter after : {GradientAfter::keep, GradientAfter::zero}) {
    Array value = test::random({kCount}, type, 1), gradient = test::random({kCount}, type, 2);
    Array m = test::random({kCount}, type, 3);
    Array v{{kCount}, type, Values(static_cast<std::size_t>(kCount), 0.5)};
    AdamWStep step = kStep;
    step.gradient_after = after;
    adamw(value.tensor, gradient.tensor, m.tensor, v.tensor, step, {}, stream);
    Values& all = results[after == GradientAfter::zero];
    for (Array const* x : {&value, &m, &v}) {
      Values const values = x->values();
      all.insert(all.end(), values.begin(), values.end());
    }
    if (after == GradientAfter::zero) CHECK(gradient.values() == Values(kCount, 0));
  }
  CHECK(results[0] == results[1]);
}

TEST_CASE("adamw's first step has the size of the learning rate") {
  Stream stream{kCpu};
  Array value{{2}, DType::f64, {1, 1}}, gradient{{2}, DType::f64, {3, -5}};
  Array m{{2}, DType::f64, {0, 0}}, v{{2}, DType::f64, {0, 0}};
  adamw(value.tensor, gradient.tensor, m.tensor, v.tensor, {.lr = 0.5, .eps = 0}, {}, stream);
  CHECK(test::distance(value.values(), {0.5, 1.5}) <= 1e-14);
}

TEST_CASE("add_sum_of_squares adds in f64") {
  Stream stream{kCpu};
  for (DType const type : test::kFloats) {
    Array x = test::random({kCount}, type, 1), total{{1}, DType::f64, {2}};
    long double expected = 2;
    for (double const value : x.values()) expected += static_cast<long double>(value) * value;
    add_sum_of_squares(x.tensor, total.tensor, stream);
    CHECK(std::abs(total.values()[0] - static_cast<double>(expected)) <=
          1e-14 * static_cast<double>(expected));
  }
}

TEST_CASE("the optimizer's passes give the same bits with any number of threads") {
  Stream stream{kCpu};
  for (DType const type : test::kFloats) {
    Array const gradient = test::random({kCount}, type, 2);
    test::check_same_bits([&] {
      Array value = test::random({kCount}, type, 1), m = test::random({kCount}, type, 3);
      Array v{{kCount}, type, Values(static_cast<std::size_t>(kCount), 0.5)};
      Array total{{1}, DType::f64, {0}};
      adamw(value.tensor, gradient.tensor, m.tensor, v.tensor, kStep, {}, stream);
      add_sum_of_squares(value.tensor, total.tensor, stream);
      Values all = value.values();
      all.push_back(total.values()[0]);
      return all;
    });
  }
}

TEST_CASE("the optimizer's passes on meta count bytes and leave memory untouched") {
  Stream stream{kMeta};
  Array x{{8}, DType::f32, Values(8, 1)}, total{{1}, DType::f64, {1}};
  adamw(x.tensor, x.tensor, x.tensor, x.tensor, kStep, {}, stream);
  CHECK(stream.counted().bytes == 7 * 32);
  AdamWStep zeroing = kStep;
  zeroing.gradient_after = GradientAfter::zero;
  adamw(x.tensor, x.tensor, x.tensor, x.tensor, zeroing, {}, stream);
  CHECK(stream.counted().bytes == 15 * 32);
  add_sum_of_squares(x.tensor, total.tensor, stream);
  CHECK(stream.counted().calls == 3);
  CHECK(x.values() == Values(8, 1));
  CHECK(total.values() == Values(1, 1));
}

TEST_CASE("the optimizer's passes refuse what does not fit") {
  Stream stream{kCpu};
  Array x{{8}, DType::f32}, wide{{8}, DType::f64}, square{{2, 4}, DType::f32};
  Tensor const t = x.tensor, w = wide.tensor, none;
  auto const refuse = [&](std::string const& name, Tensor value, Tensor gradient, Tensor m,
                          Tensor v, AdamWStep const& step = {}) {
    test::check_refused("adamw: " + name, [&] { adamw(value, gradient, m, v, step, {}, stream); });
  };
  refuse("value", none, t, t, t);
  refuse("value", square.tensor, t, t, t);
  refuse("gradient", t, w, t, t);
  refuse("m", t, t, w, t);
  refuse("v", t, t, t, none);
  refuse("step.number", t, t, t, t, {.number = 0});
  refuse("step.beta1", t, t, t, t, {.beta1 = 1});
  refuse("step.beta2", t, t, t, t, {.beta2 = -0.5});
  test::check_refused("add_sum_of_squares: x", [&] { add_sum_of_squares(none, w, stream); });
  test::check_refused("add_sum_of_squares: total", [&] { add_sum_of_squares(t, t, stream); });
}

TEST_CASE("adamw gives a rounded copy of the new values") {
  Stream stream{kCpu};
  Array value{{3}, DType::f32, {1, -2, 3.3}}, gradient{{3}, DType::f32, {0.1, 0.2, -0.3}};
  Array m{{3}, DType::f32, Values(3, 0)}, v{{3}, DType::f32, Values(3, 0)};
  std::vector<Bf16> rounded(3);
  adamw(value.tensor, gradient.tensor, m.tensor, v.tensor, kStep,
        {rounded.data(), {3}, DType::bf16, kCpu}, stream);
  for (std::size_t i = 0; i < 3; ++i) CHECK(rounded[i] == Bf16{value.tensor.data<float>()[i]});
  test::check_refused("adamw: rounded", [&] {
    adamw(value.tensor, gradient.tensor, m.tensor, v.tensor, kStep, m.tensor, stream);
  });
}

}  // namespace dsr
