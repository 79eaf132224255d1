// SPDX-License-Identifier: Apache-2.0
#include "dsr/ops/norm_gelu.hpp"

#include "dsr/ops/elementwise.hpp"
#include "dsr/ops/norm.hpp"
#include "ops/array.hpp"
#include "reference/norm_gelu.hpp"

namespace dsr {
namespace {

using test::Array;
using test::Values;

constexpr Size kRows = 131, kFeatures = 257;
constexpr double kEps = 1e-5;

}  // namespace

TEST_CASE("norm_gelu equals LayerNorm, then GELU, and gives the statistics of rows") {
  Stream stream{kCpu};
  DType const type = GENERATE(DType::f32, DType::f64);
  Array const x = test::random({kRows, kFeatures}, type, 1);
  Array const gamma = test::random({kFeatures}, type, 2), beta = test::random({kFeatures}, type, 3);
  Array y{{kRows, kFeatures}, type}, statistics{{kRows, 2}, type};
  norm_gelu(x.tensor, gamma.tensor, beta.tensor, kEps, statistics.tensor, y.tensor, stream);
  CHECK(test::distance(y.values(), reference::norm_gelu(x.values(), gamma.values(), beta.values(),
                                                        kEps)) <= test::tolerance(type));
  Values exact = reference::moments(x.values(), kFeatures);
  for (std::size_t i = 1; i < exact.size(); i += 2)
    exact[i] = 1 / std::sqrt(exact[i] / kFeatures + kEps);
  CHECK(test::distance(statistics.values(), exact) <= test::tolerance(type));
  norm_gelu(x.tensor, gamma.tensor, {}, kEps, statistics.tensor, y.tensor, stream);
  CHECK(test::distance(y.values(), reference::norm_gelu(x.values(), gamma.values(),
                                                        Values(kFeatures, 0), kEps)) <=
        test::tolerance(type));
}

TEST_CASE("the gradient of norm_gelu equals differences, and adds to gamma's and beta's") {
  Stream stream{kCpu};
  DType const type = DType::f64;
  Shape const shape{4, 7};
  bool const shifted = GENERATE(true, false);
  Array x = test::random(shape, type, 1), gamma = test::random({7}, type, 2);
  Array beta = test::random({7}, type, 3), dy = test::random(shape, type, 4), y{shape, type};
  Array statistics{{4, 2}, type}, dx{shape, type};
  Array dgamma{{7}, type, Values(7, 1)}, dbeta{{7}, type, Values(7, 2)};
  Tensor const shift = shifted ? beta.tensor : Tensor{};
  auto const loss = [&] {
    norm_gelu(x.tensor, gamma.tensor, shift, kEps, statistics.tensor, y.tensor, stream);
    return test::dot(y.values(), dy.values());
  };
  Values const expected = test::differences(x, loss);
  Values expected_gamma = test::differences(gamma, loss);
  Values expected_beta = test::differences(beta, loss);
  for (double& value : expected_gamma) value += 1;
  for (double& value : expected_beta) value += 2;
  loss();
  norm_gelu_backward(dy.tensor, x.tensor, statistics.tensor, gamma.tensor, shift, dx.tensor,
                     dgamma.tensor, shifted ? dbeta.tensor : Tensor{}, stream);
  CHECK(test::distance(dx.values(), expected) <= 1e-8);
  CHECK(test::distance(dgamma.values(), expected_gamma) <= 1e-8);
  if (shifted) CHECK(test::distance(dbeta.values(), expected_beta) <= 1e-8);
  norm_gelu_backward(dy.tensor, x.tensor, statistics.tensor, gamma.tensor, shift, dy.tensor,
                     dgamma.tensor, {}, stream);
  CHECK(dy.values() == dx.values());
}

TEST_CASE("the gradient of norm_gelu equals those of its two parts on many rows") {
  Stream stream{kCpu};
  DType const type = GENERATE(DType::f32, DType::f64);
  double const bound = type == DType::f32 ? 5e-6 : 1e-12;
  Shape const shape{kRows, kFeatures};
  Array x = test::random(shape, type, 1), dy = test::random(shape, type, 2);
  Array const gamma = test::random({kFeatures}, type, 3), beta = test::random({kFeatures}, type, 4);
  Array statistics{{kRows, 2}, type}, h{shape, type}, dh{shape, type}, dx{shape, type};
  Array y{shape, type}, sums{{kRows, 2}, type}, whole{shape, type};
  Values const zeros(kFeatures, 0);
  Array dgamma{{kFeatures}, type, zeros}, dbeta{{kFeatures}, type, zeros};
  Array dgamma_parts{{kFeatures}, type, zeros}, dbeta_parts{{kFeatures}, type, zeros};
  residual_norm({}, x.tensor, gamma.tensor, beta.tensor, kEps, statistics.tensor, h.tensor, stream);
  gelu_backward(h.tensor, dy.tensor, dh.tensor, {}, stream);
  norm_backward_sums(dh.tensor, x.tensor, statistics.tensor, gamma.tensor, sums.tensor,
                     dgamma_parts.tensor, dbeta_parts.tensor, stream);
  norm_backward(dh.tensor, x.tensor, statistics.tensor, gamma.tensor, sums.tensor, kFeatures, {},
                dx.tensor, stream);
  norm_gelu_backward(dy.tensor, x.tensor, statistics.tensor, gamma.tensor, beta.tensor,
                     whole.tensor, dgamma.tensor, dbeta.tensor, stream);
  CHECK(test::distance(whole.values(), dx.values()) <= bound);
  CHECK(test::distance(dgamma.values(), dgamma_parts.values()) <= bound);
  CHECK(test::distance(dbeta.values(), dbeta_parts.values()) <= bound);
}

TEST_CASE("norm_gelu gives the same bits with any number of threads") {
  Stream stream{kCpu};
  for (DType const type : test::kFloats) {
    Shape const shape{kRows, kFeatures};
    Array const x = test::random(shape, type, 1), gamma = test::random({kFeatures}, type, 2);
    test::check_same_bits([&] {
      Array y{shape, type}, statistics{{kRows, 2}, type};
      Array dgamma{{kFeatures}, type, Values(kFeatures, 0)},
          dbeta{{kFeatures}, type, Values(kFeatures, 0)};
      norm_gelu(x.tensor, gamma.tensor, {}, kEps, statistics.tensor, y.tensor, stream);
      norm_gelu_backward(y.tensor, x.tensor, statistics.tensor, gamma.tensor, {}, y.tensor,
                         dgamma.tensor, dbeta.tensor, stream);
      Values all = y.values();
      for (Array const* more : {&statistics, &dgamma, &dbeta}) {
        Values const values = more->values();
        all.insert(all.end(), values.begin(), values.end());
      }
      return all;
    });
  }
}

TEST_CASE("norm_gelu on meta counts bytes and leaves memory untouched") {
  Stream stream{kMeta};
  Array x{{6, 4}, DType::f32, Values(24, 1)}, row{{4}, DType::f32, Values(4, 1)};
  Array pairs{{6, 2}, DType::f32, Values(12, 1)};
  norm_gelu(x.tensor, row.tensor, row.tensor, kEps, pairs.tensor, x.tensor, stream);
  CHECK(stream.counted().bytes == 4 * (24 + 4 + 4 + 12 + 24));
  norm_gelu_backward(x.tensor, x.tensor, pairs.tensor, row.tensor, row.tensor, x.tensor, row.tensor,
                     row.tensor, stream);
  CHECK(stream.counted().bytes == 4 * (2 * 24 + 8 + 12) + 4 * (3 * 24 + 12 + 8 + 16));
  CHECK(stream.counted().calls == 2);
  for (Array const* array : {&x, &row, &pairs})
    CHECK(array->values() == Values(array->values().size(), 1));
}

TEST_CASE("norm_gelu refuses what does not fit") {
  Stream stream{kCpu};
  Array x = test::random({6, 4}, DType::f32, 1), wide = test::random({6, 4}, DType::f64, 1);
  Array pairs{{6, 2}, DType::f32}, row{{4}, DType::f32}, empty{{6, 0}, DType::f32};
  Tensor const none, t = x.tensor, p = pairs.tensor, g = row.tensor, w = wide.tensor;
  auto const forward = [&](std::string const& name, Tensor in, Tensor gamma, Tensor beta,
                           Tensor statistics, Tensor y) {
    test::check_refused("norm_gelu: " + name,
                        [&] { norm_gelu(in, gamma, beta, kEps, statistics, y, stream); });
  };
  forward("x", none, g, g, p, t);
  forward("x", empty.tensor, g, g, p, t);
  forward("gamma", t, none, g, p, t);
  forward("beta", t, g, t, p, t);
  forward("statistics", t, g, g, t, t);
  forward("y", t, g, g, p, w);
  auto const backward = [&](std::string const& name, Tensor dy, Tensor in, Tensor statistics,
                            Tensor gamma, Tensor beta, Tensor dx, Tensor dgamma, Tensor dbeta) {
    test::check_refused("norm_gelu_backward: " + name, [&] {
      norm_gelu_backward(dy, in, statistics, gamma, beta, dx, dgamma, dbeta, stream);
    });
  };
  backward("dy", none, t, p, g, g, t, g, g);
  backward("dy", empty.tensor, t, p, g, g, t, g, g);
  backward("x", t, w, p, g, g, t, g, g);
  backward("statistics", t, t, t, g, g, t, g, g);
  backward("gamma", t, t, p, p, g, t, g, g);
  backward("beta", t, t, p, g, t, t, g, g);
  backward("dx", t, t, p, g, g, w, g, g);
  backward("dgamma", t, t, p, g, g, t, none, g);
  backward("dbeta", t, t, p, g, g, t, g, p);
}

}  // namespace dsr
