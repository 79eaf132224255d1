// SPDX-License-Identifier: Apache-2.0
#include "dsr/train/trainer.hpp"

#include <cmath>
#include <limits>

#include "dsr/core/bf16.hpp"
#include "dsr/core/error.hpp"
#include "dsr/data/loader.hpp"
#include "dsr/model/gpt.hpp"
#include "dsr/ops/algorithms.hpp"
#include "support/catch.hpp"
#include "support/device.hpp"
#include "support/on_device.hpp"
#include "support/ranks.hpp"

namespace dsr {
namespace {

Tokens counting(Size count) {
  std::vector<std::int32_t> list;
  for (Size i = 0; i < count; ++i) list.push_back(static_cast<std::int32_t>(i * i % 29));
  return memory_tokens(std::move(list), 29);
}

PassOptions pass() { return {.dtype = test::dtype()}; }

struct Training {
  explicit Training(TrainerOptions const& options = {.rate = {.lr = 1e-2},
                                                     .pass = pass(),
                                                     .check_every = 1})
      : mesh{test::runtime(), {.dp = test::runtime().size()}},
        model{{.layers = 1,
               .hidden = test::on_cuda() ? 64 : 24,
               .heads = 4,
               .vocabulary = 29,
               .sequence = 8},
              mesh},
        parameters{model, mesh, {.dtype = test::dtype()}},
        optimizer{parameters, {.clip = 1.0, .zero = ZeroStage::one}},
        loader{counting(500), mesh, {.batch = 12, .micro_batch = 2, .sequence = 8}},
        trainer{test::runtime(), mesh, model, optimizer, loader, options} {
    choose_algorithms({.deterministic = Determinism::on}, trainer.compute());
  }
  Mesh mesh;
  Gpt model;
  Parameters parameters;
  AdamW optimizer;
  Loader loader;
  Trainer trainer;
};

/// One element of a value, on any device.
double element(Tensor const& x, std::size_t i) {
  if (x.dtype() == DType::bf16)
    return static_cast<double>(static_cast<float>(test::values_of<Bf16>(x)[i]));
  return static_cast<double>(test::values_of<float>(x)[i]);
}

template <class T>
void set_element(Tensor const& x, std::size_t i, double value) {
  std::vector<T> values = test::values_of<T>(x);
  values[i] = T{static_cast<float>(value)};
  test::set_values(x, std::move(values));
}

void set_element(Tensor const& x, std::size_t i, double value) {
  x.dtype() == DType::bf16 ? set_element<Bf16>(x, i, value) : set_element<float>(x, i, value);
}

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
  double const saved = element(gamma, 0);
  set_element(gamma, 0, std::numeric_limits<double>::quiet_NaN());
  CHECK_FALSE(std::isfinite(t.trainer.step().grad_norm));
  CHECK(t.trainer.skipped() == 1);
  set_element(gamma, 0, saved);
  CHECK(std::isfinite(t.trainer.step().grad_norm));
  CHECK(t.trainer.skipped() == 1);
}

TEST_CASE("replicas that drift apart are noticed") {
  if (test::runtime().size() == 1) return;
  Training t;
  // An element that this rank does not own: ZeRO-1 would overwrite the change, so it is made after
  // the last step.
  t.trainer.step();
  if (test::runtime().rank() == 1) {
    Tensor const value = t.parameters.all().front().parameter->value();
    set_element(value, 0, element(value, 0) + 1);
  }
  AdamW still{t.parameters, {}};
  Trainer checking{test::runtime(), t.mesh,
                   t.model,         still,
                   t.loader,        {.rate = {.lr = 0}, .pass = pass(), .check_every = 1}};
  CHECK_THROWS_WITH(checking.step(),
                    test::contains("replicas hold different weights after step 1"));
}

TEST_CASE("without overlap the numbers are the same, and all communication is exposed") {
  TrainerOptions options{.rate = {.lr = 1e-2}, .pass = pass(), .check_every = 0};
  Training beside{options};
  options.overlap = Overlap::off;
  Training in_line{options};
  for (int i = 0; i < 3; ++i) {
    StepMetrics const a = beside.trainer.step(), b = in_line.trainer.step();
    CHECK(a.loss == b.loss);
    CHECK(a.grad_norm == b.grad_norm);
    CHECK(b.exposed_comm_ms == test::Approx(b.comm_ms).epsilon(1e-3));
    bool const alone = test::runtime().size() == 1;
    CHECK((b.comm_ms > 0) == !alone);
    CHECK((a.comm_ms > 0) == !alone);
    CHECK(b.comm_ms <= b.step_ms);
    CHECK(a.exposed_comm_ms <= a.step_ms);
  }
  CHECK(beside.parameters.hash_values() == in_line.parameters.hash_values());
}

TEST_CASE("options that do not fit are refused") {
  CHECK_THROWS_AS(Training({.pass = {.dtype = DType::f64}}), InvalidArgument);
  PassOptions too_much = pass();
  too_much.dropout = 1;
  CHECK_THROWS_AS(Training({.pass = too_much}), InvalidArgument);
  CHECK_THROWS_AS(Training({.rate = {.lr = -1}, .pass = pass()}), InvalidArgument);
  CHECK_THROWS_AS(Training({.pass = pass(), .check_every = -1}), InvalidArgument);
}

}  // namespace
}  // namespace dsr
