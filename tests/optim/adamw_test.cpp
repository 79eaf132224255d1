// SPDX-License-Identifier: Apache-2.0
/// AdamW over flat buffers on real ranks: against a naive serial optimizer, ZeRO stages against
/// each other.
#include "dsr/optim/adamw.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "dsr/comm/collectives.hpp"
#include "dsr/core/bf16.hpp"
#include "dsr/core/error.hpp"
#include "dsr/optim/gradients.hpp"
#include "support/catch.hpp"
#include "support/ranks.hpp"

namespace dsr {
namespace {

/// Two matrices and a bias; several buckets, sizes that need padding.
struct SmallModel : Visitable {
  explicit SmallModel(Mesh const& mesh)
      : first(Shard{{7, 5}, {}, mesh.shape()}, {.init = normal_init(1), .decay = Decay::yes}),
        bias(Shard{{3}, {}, mesh.shape()}, {.init = constant_init(0.5)}),
        second(Shard{{11}, {}, mesh.shape()}, {.init = normal_init(1), .decay = Decay::yes}) {}
  void visit(Visitor& visitor) override {
    visitor.parameter("first", first);
    visitor.parameter("bias", bias);
    visitor.parameter("second", second);
  }
  Parameter first, bias, second;
};

struct Run {
  explicit Run(AdamWOptions options)
      : mesh{test::runtime(), {.dp = test::runtime().size()}},
        model{mesh},
        parameters{model, mesh, {.seed = 9, .dtype = DType::f64, .bucket_bytes = 200}},
        optimizer{parameters, options},
        compute{kCpu},
        exchange{test::runtime().communication_stream()},
        reducer{parameters, compute, exchange, options.zero} {}

  /// Every rank adds its own part; the sum over ranks of element i is total(step, i).
  StepResult step(Size number, double lr, double extra = 0) {
    double const share =
        (mesh.rank() + 1) / (mesh.size(Axis::dp) * (mesh.size(Axis::dp) + 1) / 2.0);
    reducer.begin();
    for (Parameter* p : {&model.second, &model.bias, &model.first}) {
      for (Size i = 0; i < p->gradient().elements(); ++i) {
        p->gradient().data<double>()[i] += share * total(number, p->index(), i) + extra;
      }
      reducer.added(*p);
    }
    reducer.finish();
    return optimizer.step(kTokens, lr, compute, exchange);
  }

  /// Every element of every flat buffer, those of other ranks included.
  bool gradients_are_zero() {
    return std::ranges::all_of(parameters.flats(), [](FlatBuffer const& flat) {
      auto const* const g = flat.gradients.data<double>();
      return std::all_of(g, g + flat.gradients.elements(), [](double x) { return x == 0; });
    });
  }

  std::vector<double> values() const {
    std::vector<double> all;
    for (ParameterPlace const& place : parameters.all()) {
      Tensor const v = place.parameter->value();
      all.insert(all.end(), v.data<double>(), v.data<double>() + v.elements());
    }
    return all;
  }

  static double total(Size step, int parameter, Size i) {
    return std::sin(static_cast<double>(step * 31 + parameter * 7 + i)) *
           static_cast<double>(kTokens);
  }

  static constexpr Size kTokens = 40;
  Mesh mesh;
  SmallModel model;
  Parameters parameters;
  AdamW optimizer;
  Stream compute, exchange;
  GradientReducer reducer;
};

/// The textbook, on one rank and without buffers.
std::vector<double> naive(std::vector<double> w, std::vector<std::pair<int, Size>> const& where,
                          Size steps, double lr, AdamWOptions const& o, double* last_norm) {
  std::vector<double> m(w.size()), v(w.size());
  for (Size s = 1; s <= steps; ++s) {
    std::vector<double> g;
    double squares = 0;
    for (auto [p, i] : where) {
      g.push_back(Run::total(s, p, i) / static_cast<double>(Run::kTokens));
      squares += g.back() * g.back();
    }
    double const norm = *last_norm = std::sqrt(squares);
    for (std::size_t k = 0; k < w.size(); ++k) {
      double const gk = o.clip > 0 && norm > o.clip ? g[k] * o.clip / (norm + 1e-6) : g[k];
      m[k] = o.beta1 * m[k] + (1 - o.beta1) * gk;
      v[k] = o.beta2 * v[k] + (1 - o.beta2) * gk * gk;
      double const mhat = m[k] / (1 - std::pow(o.beta1, s)),
                   vhat = v[k] / (1 - std::pow(o.beta2, s));
      double const decay = where[k].first == 1 ? 0 : o.weight_decay;
      w[k] = w[k] - lr * decay * w[k] - lr * mhat / (std::sqrt(vhat) + o.eps);
    }
  }
  return w;
}

TEST_CASE("steps equal a naive serial AdamW, clipped or not, with both ZeRO stages") {
  for (ZeroStage zero : {ZeroStage::zero, ZeroStage::one}) {
    for (double clip : {0.0, 1.0}) {
      AdamWOptions const options{.weight_decay = 0.1, .clip = clip, .zero = zero};
      Run run{options};
      std::vector<std::pair<int, Size>> where;
      for (ParameterPlace const& p : run.parameters.all()) {
        for (Size i = 0; i < p.parameter->value().elements(); ++i)
          where.emplace_back(p.parameter->index(), i);
      }
      double norm = 0;
      auto const expected = naive(run.values(), where, 4, 0.02, options, &norm);
      StepResult result;
      for (Size s = 1; s <= 4; ++s) {
        result = run.step(s, 0.02);
        CHECK(run.gradients_are_zero());
      }
      CHECK(result.outcome == StepOutcome::applied);
      CHECK(result.gradient_norm == test::Approx(norm).epsilon(1e-12));
      auto const found = run.values();
      for (std::size_t k = 0; k < found.size(); ++k)
        CHECK(found[k] == test::Approx(expected[k]).epsilon(1e-11));
    }
  }
}

TEST_CASE("ZeRO-1 gives the same bits as stage 0 and holds a part of the state") {
  Run whole{{.weight_decay = 0.1, .clip = 1, .zero = ZeroStage::zero}};
  Run cut{{.weight_decay = 0.1, .clip = 1, .zero = ZeroStage::one}};
  for (Size s = 1; s <= 3; ++s) {
    whole.step(s, 0.01);
    cut.step(s, 0.01);
  }
  CHECK(whole.values() == cut.values());
  CHECK(cut.optimizer.state_bytes() * test::runtime().size() == whole.optimizer.state_bytes());
}

TEST_CASE("a norm that is not finite changes nothing, on all ranks, and is counted") {
  for (double bad :
       {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    Run run{{.clip = 1, .zero = ZeroStage::one}};
    run.step(1, 0.01);
    auto const before = run.values();
    StepResult const result = run.step(2, 0.01, test::runtime().rank() == 0 ? bad : 0.0);
    CHECK(result.outcome == StepOutcome::skipped_not_finite);
    CHECK(run.gradients_are_zero());
    CHECK(run.values() == before);
    CHECK(run.optimizer.skipped() == 1);
    CHECK(run.optimizer.steps() == 1);
    CHECK(run.step(3, 0.01).outcome == StepOutcome::applied);
  }
}

TEST_CASE(
    "bf16 values: updates accumulate in f32 masters, and every rank gets the rounded values") {
  for (ZeroStage zero : {ZeroStage::zero, ZeroStage::one}) {
    Mesh const mesh{test::runtime(), {.dp = test::runtime().size()}};
    SmallModel model{mesh};
    Parameters parameters{model, mesh, {.seed = 9, .dtype = DType::bf16, .bucket_bytes = 200}};
    AdamW optimizer{parameters, {.beta1 = 0, .beta2 = 0, .zero = zero}};
    Stream compute{kCpu}, exchange{test::runtime().communication_stream()};
    GradientReducer reducer{parameters, compute, exchange, zero};
    Tensor const bias = model.bias.value();
    REQUIRE(model.bias.gradient().dtype() == DType::f32);
    CHECK(static_cast<float>(bias.data<Bf16>()[0]) == 0.5F);
    // Four hundred steps of 1e-5, each far below what bf16 can tell from 0.5 (2^-9): lost without a
    // master.
    for (int i = 0; i < 400; ++i) {
      parameters.zero_gradients(compute);
      for (Size k = 0; k < 3; ++k) model.bias.gradient().data<float>()[k] = 1;
      reducer.begin();
      reducer.finish();
      optimizer.step(1, 1e-5, compute, exchange);
    }
    for (Size k = 0; k < 3; ++k) CHECK(bias.data<Bf16>()[k] == Bf16{0.5F - 400 * 1e-5F});
    CHECK_FALSE(bias.data<Bf16>()[0] == Bf16{0.5F});
  }
}

TEST_CASE("options out of range are refused") {
  CHECK_THROWS_AS((AdamWOptions{.beta1 = 1}.validate()), InvalidArgument);
  CHECK_THROWS_AS((AdamWOptions{.beta2 = -0.1}.validate()), InvalidArgument);
  CHECK_THROWS_AS((AdamWOptions{.eps = 0}.validate()), InvalidArgument);
  CHECK_THROWS_AS((AdamWOptions{.weight_decay = -1}.validate()), InvalidArgument);
  CHECK_THROWS_AS((AdamWOptions{.clip = -1}.validate()), InvalidArgument);
}

}  // namespace
}  // namespace dsr
