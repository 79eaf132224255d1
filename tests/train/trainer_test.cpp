// SPDX-License-Identifier: Apache-2.0
#include "dsr/train/trainer.hpp"

#include <cmath>
#include <limits>

#include "dsr/core/error.hpp"
#include "dsr/data/loader.hpp"
#include "dsr/model/gpt.hpp"
#include "support/catch.hpp"
#include "support/ranks.hpp"

namespace dsr {
namespace {

Tokens counting(Size count) {
  std::vector<std::int32_t> list;
  for (Size i = 0; i < count; ++i) list.push_back(static_cast<std::int32_t>(i * i % 29));
  return memory_tokens(std::move(list), 29);
}

struct Training {
  explicit Training(TrainerOptions const& options = {.rate = {.lr = 1e-2}, .check_every = 1})
      : mesh{test::runtime(), {.dp = test::runtime().size()}},
        model{{.layers = 1, .hidden = 24, .heads = 4, .vocabulary = 29, .sequence = 8}, mesh},
        parameters{model, mesh},
        optimizer{parameters, {.clip = 1.0, .zero = ZeroStage::one}},
        loader{counting(500), mesh, {.batch = 12, .micro_batch = 2, .sequence = 8}},
        trainer{test::runtime(), mesh, model, optimizer, loader, options} {}
  Mesh mesh;
  Gpt model;
  Parameters parameters;
  AdamW optimizer;
  Loader loader;
  Trainer trainer;
};

TEST_CASE("training lowers the loss, and metrics hold what they say") {
  Training t;
  StepMetrics const first = t.trainer.step();
  CHECK(first.step == 1);
  CHECK(first.tokens == 12 * 8);
  CHECK(first.loss == test::Approx(std::log(29.0)).epsilon(0.05));  // nothing is known yet
  CHECK(first.lr == 1e-2);
  CHECK(first.tokens_per_s == test::Approx(96 / first.step_ms * 1e3));
  StepMetrics last = first;
  for (int i = 0; i < 60; ++i) last = t.trainer.step();
  CHECK(last.loss < 0.5 * first.loss);
  CHECK(t.trainer.steps_done() == 61);
  CHECK(t.trainer.skipped() == 0);
}

TEST_CASE("evaluation changes nothing and is the same each time") {
  Training a, b;
  Loader held_out{counting(300),
                  a.mesh,
                  {.batch = 6, .micro_batch = 1, .sequence = 8, .order = DataOrder::sequential}};
  double const before = a.trainer.evaluate(held_out, 3);
  CHECK(a.trainer.evaluate(held_out, 3) == before);
  StepMetrics const evaluated = a.trainer.step(), other = b.trainer.step();
  CHECK(evaluated.loss == other.loss);
  CHECK(evaluated.grad_norm == other.grad_norm);
  CHECK(a.parameters.hash_values() == b.parameters.hash_values());
  CHECK(a.trainer.evaluate(held_out, 3) != before);
}

TEST_CASE("run_to reports each step and evaluates at its interval and at the end") {
  Training t;
  Loader held_out{counting(300), t.mesh, {.batch = 6, .micro_batch = 1, .sequence = 8}};
  std::vector<Size> steps, evaluations;
  t.trainer.on_step([&](StepMetrics const& m) { steps.push_back(m.step); });
  t.trainer.evaluate_every(2, held_out, 1,
                           [&](EvaluationMetrics const& m) { evaluations.push_back(m.step); });
  t.trainer.run_to(5);
  CHECK(steps == std::vector<Size>{1, 2, 3, 4, 5});
  CHECK(evaluations == std::vector<Size>{2, 4, 5});
  t.trainer.run_to(5);
  CHECK(steps.size() == 5);
}

TEST_CASE("weights that are not finite: the step is skipped on all ranks and training can go on") {
  Training t;
  Tensor const gamma = t.parameters.all().back().parameter->value();
  float const saved = gamma.data<float>()[0];
  gamma.data<float>()[0] = std::numeric_limits<float>::quiet_NaN();
  CHECK_FALSE(std::isfinite(t.trainer.step().grad_norm));
  CHECK(t.trainer.skipped() == 1);
  gamma.data<float>()[0] = saved;
  CHECK(std::isfinite(t.trainer.step().grad_norm));
  CHECK(t.trainer.skipped() == 1);
}

TEST_CASE("replicas that drift apart are noticed") {
  if (test::runtime().size() == 1) return;
  Training t;
  // An element that this rank does not own: ZeRO-1 would overwrite the change, so it is made after
  // the last step.
  t.trainer.step();
  if (test::runtime().rank() == 1)
    t.parameters.all().front().parameter->value().data<float>()[0] += 1;
  AdamW still{t.parameters, {}};
  Trainer checking{test::runtime(), t.mesh,   t.model,
                   still,           t.loader, {.rate = {.lr = 0}, .check_every = 1}};
  CHECK_THROWS_WITH(checking.step(),
                    test::contains("replicas hold different weights after step 1"));
}

TEST_CASE("options that do not fit are refused") {
  CHECK_THROWS_AS(Training({.pass = {.dtype = DType::f64}}), InvalidArgument);
  CHECK_THROWS_AS(Training({.pass = {.dropout = 1.0}}), InvalidArgument);
  CHECK_THROWS_AS(Training({.rate = {.lr = -1}}), InvalidArgument);
  CHECK_THROWS_AS(Training({.check_every = -1}), InvalidArgument);
}

}  // namespace
}  // namespace dsr
