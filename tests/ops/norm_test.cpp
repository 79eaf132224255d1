// SPDX-License-Identifier: Apache-2.0
#include "dsr/ops/norm.hpp"

#include "dsr/ops/elementwise.hpp"
#include "ops/array.hpp"
#include "reference/elementwise.hpp"
#include "reference/norm.hpp"

namespace dsr {
namespace {

using test::Array;
using test::Values;

constexpr Size kRows = 131, kFeatures = 257;
constexpr double kEps = 1e-5;

/// The (mean, rstd) that merging one part of moments gives.
Array statistics_of(Array const& x, Stream& stream) {
  Size const rows = x.tensor.size(0);
  Array moments{{1, rows, 2}, x.tensor.dtype()}, statistics{{rows, 2}, x.tensor.dtype()};
  residual_moments({}, x.tensor, moments.tensor[0], stream);
  merge_moments(moments.tensor, x.tensor.size(1), kEps, statistics.tensor, stream);
  return statistics;
}

}  // namespace

TEST_CASE("residual_moments adds the branch and takes moments, also far from zero") {
  Stream stream{kCpu};
  DType const type = GENERATE(DType::f32, DType::f64);
  Array sum = test::random({kRows, kFeatures}, type, 1);
  Array branch = test::random({kRows, kFeatures}, type, 2), moments{{kRows, 2}, type};
  Values shifted = sum.values();
  for (double& value : shifted) value += 1000;
  sum.set(shifted);
  Values expected = sum.values(), const_branch = branch.values();
  for (std::size_t i = 0; i < expected.size(); ++i) expected[i] += const_branch[i];
  residual_moments(sum.tensor, branch.tensor, moments.tensor, stream);
  CHECK(test::distance(branch.values(), expected) <= test::tolerance(type));
  Values const found = moments.values(), exact = reference::moments(branch.values(), kFeatures);
  for (std::size_t i = 0; i < found.size(); ++i) {
    REQUIRE(std::abs(found[i] - exact[i]) <= 20 * test::tolerance(type) * std::abs(exact[i]));
  }
}

TEST_CASE("merge_moments of parts equals moments of whole rows") {
  Stream stream{kCpu};
  DType const type = GENERATE(DType::f32, DType::f64);
  Size const parts = 3, features = 19;
  Array whole = test::random({kRows, parts * features}, type, 1);
  Array gathered{{parts, kRows, 2}, type}, statistics{{kRows, 2}, type};
  Array part{{kRows, features}, type};
  for (Size p = 0; p < parts; ++p) {
    copy(whole.tensor.slice(1, p * features, (p + 1) * features), part.tensor, stream);
    residual_moments({}, part.tensor, gathered.tensor[p], stream);
  }
  merge_moments(gathered.tensor, features, kEps, statistics.tensor, stream);
  Values exact = reference::moments(whole.values(), parts * features);
  for (std::size_t i = 1; i < exact.size(); i += 2) exact[i] = 1 / std::sqrt(exact[i] / 57 + kEps);
  CHECK(test::distance(statistics.values(), exact) <= test::tolerance(type));
}

TEST_CASE("normalize and residual_norm equal LayerNorm, with and without beta") {
  Stream stream{kCpu};
  DType const type = GENERATE(DType::f32, DType::f64);
  Array x = test::random({kRows, kFeatures}, type, 1), y{{kRows, kFeatures}, type};
  Array gamma = test::random({kFeatures}, type, 2), beta = test::random({kFeatures}, type, 3);
  Array const statistics = statistics_of(x, stream);
  Values const zeros(static_cast<std::size_t>(kFeatures));
  normalize(x.tensor, statistics.tensor, gamma.tensor, beta.tensor, y.tensor, stream);
  CHECK(test::distance(y.values(), reference::layer_norm(x.values(), gamma.values(), beta.values(),
                                                         kEps)) <= test::tolerance(type));
  normalize(x.tensor, statistics.tensor, gamma.tensor, {}, y.tensor, stream);
  CHECK(test::distance(y.values(), reference::layer_norm(x.values(), gamma.values(), zeros,
                                                         kEps)) <= test::tolerance(type));

  Array sum = test::random({kRows, kFeatures}, type, 4), total{{kRows, kFeatures}, type};
  Array found{{kRows, 2}, type};
  add(sum.tensor, x.tensor, total.tensor, stream);
  residual_norm(sum.tensor, x.tensor, gamma.tensor, beta.tensor, kEps, found.tensor, y.tensor,
                stream);
  CHECK(x.values() == total.values());
  CHECK(test::distance(y.values(), reference::layer_norm(total.values(), gamma.values(),
                                                         beta.values(), kEps)) <=
        test::tolerance(type));
  CHECK(test::distance(found.values(), statistics_of(total, stream).values()) <=
        test::tolerance(type));
  residual_norm({}, x.tensor, gamma.tensor, {}, kEps, found.tensor, y.tensor, stream);
  CHECK(x.values() == total.values());
  CHECK(test::distance(y.values(), reference::layer_norm(total.values(), gamma.values(), zeros,
                                                         kEps)) <= test::tolerance(type));
}

TEST_CASE("the gradient of LayerNorm equals differences of residual_norm") {
  Stream stream{kCpu};
  DType const type = DType::f64;
  Shape const shape{4, 7};
  Array x = test::random(shape, type, 1), gamma = test::random({7}, type, 2);
  Array beta = test::random({7}, type, 3), dy = test::random(shape, type, 4), y{shape, type};
  Array statistics{{4, 2}, type}, sums{{4, 2}, type}, dx{shape, type};
  Array residual = test::random(shape, type, 5);
  Array dgamma{{7}, type, Values(7, 0)}, dbeta{{7}, type, Values(7, 0)};
  auto const loss = [&] {
    residual_norm({}, x.tensor, gamma.tensor, beta.tensor, kEps, statistics.tensor, y.tensor,
                  stream);
    return test::dot(y.values(), dy.values());
  };
  Values const expected = test::differences(x, loss);
  Values const expected_gamma = test::differences(gamma, loss);
  Values const expected_beta = test::differences(beta, loss);
  loss();
  norm_backward_sums(dy.tensor, x.tensor, statistics.tensor, gamma.tensor, sums.tensor,
                     dgamma.tensor, dbeta.tensor, stream);
  norm_backward(dy.tensor, x.tensor, statistics.tensor, gamma.tensor, sums.tensor, 7, {}, dx.tensor,
                stream);
  CHECK(test::distance(dx.values(), expected) <= 1e-8);
  CHECK(test::distance(dgamma.values(), expected_gamma) <= 1e-8);
  CHECK(test::distance(dbeta.values(), expected_beta) <= 1e-8);

  Values with_residual = dx.values();
  Values const other = residual.values();
  for (std::size_t i = 0; i < other.size(); ++i) with_residual[i] += other[i];
  norm_backward(dy.tensor, x.tensor, statistics.tensor, gamma.tensor, sums.tensor, 7,
                residual.tensor, residual.tensor, stream);
  CHECK(test::distance(residual.values(), with_residual) <= 1e-14);
  norm_backward(dy.tensor, x.tensor, statistics.tensor, gamma.tensor, sums.tensor, 7, {}, dy.tensor,
                stream);
  CHECK(dy.values() == dx.values());
}

TEST_CASE("the gradient of LayerNorm in f32 equals f64, and sums over parts equal whole rows") {
  Stream stream{kCpu};
  Values results[2][3];
  for (DType const type : test::kFloats) {
    Array x{
        {kRows, kFeatures}, type, Array(test::random({kRows, kFeatures}, DType::f32, 1)).values()};
    Array dy{
        {kRows, kFeatures}, type, Array(test::random({kRows, kFeatures}, DType::f32, 2)).values()};
    Array gamma{{kFeatures}, type, Array(test::random({kFeatures}, DType::f32, 3)).values()};
    Array const statistics = statistics_of(x, stream);
    Array sums{{kRows, 2}, type}, dgamma{{kFeatures}, type, Values(kFeatures, 1)};
    norm_backward_sums(dy.tensor, x.tensor, statistics.tensor, gamma.tensor, sums.tensor,
                       dgamma.tensor, {}, stream);
    Array dx{{kRows, kFeatures}, type};
    norm_backward(dy.tensor, x.tensor, statistics.tensor, gamma.tensor, sums.tensor, kFeatures, {},
                  dx.tensor, stream);
    Values* const to = results[type == DType::f64];
    to[0] = sums.values();
    to[1] = dgamma.values();
    to[2] = dx.values();

    Array part_x{{kRows, 100}, type}, part_dy{{kRows, 100}, type}, part_sums{{kRows, 2}, type};
    Array part_dgamma{{100}, type, Values(100, 1)};
    copy(x.tensor.slice(1, 50, 150), part_x.tensor, stream);
    copy(dy.tensor.slice(1, 50, 150), part_dy.tensor, stream);
    norm_backward_sums(part_dy.tensor, part_x.tensor, statistics.tensor,
                       gamma.tensor.slice(0, 50, 150), part_sums.tensor, part_dgamma.tensor, {},
                       stream);
    CHECK(part_dgamma.values() == test::values_of(dgamma.tensor.slice(0, 50, 150)));
  }
  for (int i = 0; i < 3; ++i) CHECK(test::distance(results[0][i], results[1][i]) <= 2e-6);
}

TEST_CASE("norms give the same bits with any number of threads") {
  Stream stream{kCpu};
  for (DType const type : test::kFloats) {
    Shape const shape{kRows, kFeatures};
    Array const sum = test::random(shape, type, 1), gamma = test::random({kFeatures}, type, 2);
    Array const dy = test::random(shape, type, 3);
    test::check_same_bits([&] {
      Array x = test::random(shape, type, 4), y{shape, type}, statistics{{kRows, 2}, type};
      Array sums{{kRows, 2}, type}, dgamma{{kFeatures}, type, Values(kFeatures, 0)},
          dx{shape, type};
      Array dbeta{{kFeatures}, type, Values(kFeatures, 0)};
      residual_norm(sum.tensor, x.tensor, gamma.tensor, {}, kEps, statistics.tensor, y.tensor,
                    stream);
      norm_backward_sums(dy.tensor, x.tensor, statistics.tensor, gamma.tensor, sums.tensor,
                         dgamma.tensor, dbeta.tensor, stream);
      norm_backward(dy.tensor, x.tensor, statistics.tensor, gamma.tensor, sums.tensor, kFeatures,
                    sum.tensor, dx.tensor, stream);
      Values all = dx.values();
      for (Array const* more : {&y, &sums, &dgamma, &dbeta, &statistics}) {
        Values const values = more->values();
        all.insert(all.end(), values.begin(), values.end());
      }
      Values const split = statistics_of(x, stream).values();
      normalize(x.tensor, statistics.tensor, gamma.tensor, {}, y.tensor, stream);
      Values const normal = y.values();
      all.insert(all.end(), split.begin(), split.end());
      all.insert(all.end(), normal.begin(), normal.end());
      return all;
    });
  }
}

TEST_CASE("norms on meta count bytes and leave memory untouched") {
  Stream stream{kMeta};
  Array x{{6, 4}, DType::f32, Values(24, 1)}, row{{4}, DType::f32, Values(4, 1)};
  Array pairs{{6, 2}, DType::f32, Values(12, 1)}, parts{{1, 6, 2}, DType::f32, Values(12, 1)};
  residual_moments(x.tensor, x.tensor, pairs.tensor, stream);
  CHECK(stream.counted().bytes == 4 * (3 * 24 + 12));
  merge_moments(parts.tensor, 4, kEps, pairs.tensor, stream);
  normalize(x.tensor, pairs.tensor, row.tensor, row.tensor, x.tensor, stream);
  residual_norm({}, x.tensor, row.tensor, row.tensor, kEps, pairs.tensor, x.tensor, stream);
  norm_backward_sums(x.tensor, x.tensor, pairs.tensor, row.tensor, pairs.tensor, row.tensor,
                     row.tensor, stream);
  norm_backward(x.tensor, x.tensor, pairs.tensor, row.tensor, pairs.tensor, 4, {}, x.tensor,
                stream);
  CHECK(stream.counted().calls == 6);
  for (Array const* array : {&x, &row, &pairs, &parts}) {
    CHECK(array->values() == Values(array->values().size(), 1));
  }
}

TEST_CASE("residual_norm_backward gives the bits of its two halves, in place too") {
  Stream stream{kCpu};
  DType const type = GENERATE(DType::f32, DType::f64);
  Shape const shape{kRows, kFeatures};
  Array x = test::random(shape, type, 1), gamma = test::random({kFeatures}, type, 2);
  Array residual = test::random(shape, type, 3), sums{{kRows, 2}, type}, dx{shape, type};
  Array const statistics = statistics_of(x, stream);
  bool const in_place = GENERATE(false, true), adds = GENERATE(false, true);
  Array dy = test::random(shape, type, 4);
  Values const ones(kFeatures, 1);
  Array dgamma[2] = {Array{{kFeatures}, type, ones}, Array{{kFeatures}, type, ones}};
  Array dbeta[2] = {Array{{kFeatures}, type, ones}, Array{{kFeatures}, type, ones}};
  Tensor const other = adds ? residual.tensor : Tensor{};
  norm_backward_sums(dy.tensor, x.tensor, statistics.tensor, gamma.tensor, sums.tensor,
                     dgamma[0].tensor, dbeta[0].tensor, stream);
  norm_backward(dy.tensor, x.tensor, statistics.tensor, gamma.tensor, sums.tensor, kFeatures, other,
                dx.tensor, stream);
  Array apart{shape, type};
  Tensor const out = !in_place ? apart.tensor : adds ? residual.tensor : dy.tensor;
  residual_norm_backward(dy.tensor, x.tensor, statistics.tensor, gamma.tensor, other, out,
                         dgamma[1].tensor, dbeta[1].tensor, stream);
  CHECK(test::values_of(out) == dx.values());
  CHECK(dgamma[0].values() == dgamma[1].values());
  CHECK(dbeta[0].values() == dbeta[1].values());
}

TEST_CASE("norms refuse what does not fit") {
  Stream stream{kCpu};
  Array x = test::random({6, 4}, DType::f32, 1), wide = test::random({6, 4}, DType::f64, 1);
  Array pairs{{6, 2}, DType::f32}, row{{4}, DType::f32}, parts{{2, 6, 2}, DType::f32};
  Array empty{{6, 0}, DType::f32};
  Tensor const none, t = x.tensor, p = pairs.tensor, g = row.tensor, w = wide.tensor;
  using test::check_refused;
  check_refused("residual_moments: branch", [&] { residual_moments(none, none, p, stream); });
  check_refused("residual_moments: branch",
                [&] { residual_moments(none, empty.tensor, p, stream); });
  check_refused("residual_moments: sum", [&] { residual_moments(w, t, p, stream); });
  check_refused("residual_moments: moments", [&] { residual_moments(none, t, t, stream); });
  check_refused("merge_moments: gathered", [&] { merge_moments(p, 4, kEps, p, stream); });
  check_refused("merge_moments: features",
                [&] { merge_moments(parts.tensor, 0, kEps, p, stream); });
  check_refused("merge_moments: statistics",
                [&] { merge_moments(parts.tensor, 4, kEps, t, stream); });
  check_refused("normalize: x", [&] { normalize(none, p, g, g, t, stream); });
  check_refused("normalize: statistics", [&] { normalize(t, t, g, g, t, stream); });
  check_refused("normalize: gamma", [&] { normalize(t, p, t, g, t, stream); });
  check_refused("normalize: beta", [&] { normalize(t, p, g, t, t, stream); });
  check_refused("normalize: y", [&] { normalize(t, p, g, g, w, stream); });
  check_refused("residual_norm: branch",
                [&] { residual_norm(none, empty.tensor, g, g, kEps, p, t, stream); });
  check_refused("residual_norm: sum", [&] { residual_norm(w, t, g, g, kEps, p, t, stream); });
  check_refused("residual_norm: gamma", [&] { residual_norm(t, t, none, g, kEps, p, t, stream); });
  check_refused("residual_norm: beta", [&] { residual_norm(t, t, g, t, kEps, p, t, stream); });
  check_refused("residual_norm: statistics",
                [&] { residual_norm(t, t, g, g, kEps, t, t, stream); });
  check_refused("residual_norm: y", [&] { residual_norm(t, t, g, g, kEps, p, p, stream); });
  auto const sums = [&](std::string const& name, Tensor dy, Tensor in, Tensor stats, Tensor gamma,
                        Tensor out, Tensor dgamma, Tensor dbeta) {
    check_refused("norm_backward_sums: " + name,
                  [&] { norm_backward_sums(dy, in, stats, gamma, out, dgamma, dbeta, stream); });
  };
  sums("dy", none, t, p, g, p, g, g);
  sums("x", t, w, p, g, p, g, g);
  sums("statistics", t, t, t, g, p, g, g);
  sums("gamma", t, t, p, p, p, g, g);
  sums("sums", t, t, p, g, t, g, g);
  sums("dgamma", t, t, p, g, p, none, g);
  sums("dbeta", t, t, p, g, p, g, p);
  auto const whole = [&](std::string const& name, Tensor dy, Tensor in, Tensor stats, Tensor gamma,
                         Tensor out, Size features, Tensor residual, Tensor dx) {
    check_refused("norm_backward: " + name, [&] {
      norm_backward(dy, in, stats, gamma, out, features, residual, dx, stream);
    });
  };
  whole("dy", none, t, p, g, p, 4, t, t);
  whole("x", t, w, p, g, p, 4, t, t);
  whole("statistics", t, t, t, g, p, 4, t, t);
  whole("gamma", t, t, p, p, p, 4, t, t);
  whole("sums", t, t, p, g, t, 4, t, t);
  whole("features", t, t, p, g, p, 0, t, t);
  whole("dresidual", t, t, p, g, p, 4, w, t);
  whole("dx", t, t, p, g, p, 4, t, w);
  auto const both = [&](std::string const& name, Tensor dy, Tensor in, Tensor stats, Tensor gamma,
                        Tensor residual, Tensor dx, Tensor dgamma, Tensor dbeta) {
    check_refused("residual_norm_backward: " + name, [&] {
      residual_norm_backward(dy, in, stats, gamma, residual, dx, dgamma, dbeta, stream);
    });
  };
  both("dy", none, t, p, g, t, t, g, g);
  both("dy", empty.tensor, t, p, g, t, t, g, g);
  both("x", t, w, p, g, t, t, g, g);
  both("statistics", t, t, t, g, t, t, g, g);
  both("gamma", t, t, p, p, t, t, g, g);
  both("dresidual", t, t, p, g, w, t, g, g);
  both("dx", t, t, p, g, t, w, g, g);
  both("dgamma", t, t, p, g, t, t, none, g);
  both("dbeta", t, t, p, g, t, t, g, p);
}

}  // namespace dsr
