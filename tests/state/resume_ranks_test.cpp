// SPDX-License-Identifier: Apache-2.0
/// A training run that stops, and one that takes up its state in memory: the same bits on the same
/// mesh, the same numbers on any other.
#include <algorithm>
#include <cmath>
#include <vector>

#include "dsr/core/error.hpp"
#include "dsr/core/rng.hpp"
#include "dsr/data/loader.hpp"
#include "dsr/model/gpt.hpp"
#include "dsr/ops/algorithms.hpp"
#include "dsr/train/trainer.hpp"
#include "state/global_state.hpp"
#include "support/catch.hpp"
#include "support/device.hpp"
#include "support/first_ranks.hpp"
#include "support/tolerances.hpp"

namespace dsr {
namespace {

constexpr Size kBatch = 12, kSequence = 11, kVocabulary = 257;

GptConfig config() {
  bool const cuda = test::on_cuda();  // heads of the 8 features that cuDNN asks for
  return {.layers = 2,
          .hidden = cuda ? 192 : 48,
          .heads = cuda ? 24 : 12,
          .ffn = cuda ? 384 : 96,
          .vocabulary = kVocabulary,
          .sequence = kSequence};
}

Tokens tokens() {
  std::vector<std::int32_t> list;
  RandomKey const key = random_key(3, RandomPurpose::user, 0, 0);
  for (std::uint32_t i = 0; i < 500; ++i) {  // 45 sequences: an epoch ends within five steps
    auto const bits = random_bits(key, {i, 0, 0, 0});
    list.push_back(static_cast<std::int32_t>(bits[0] % kVocabulary));
  }
  return memory_tokens(std::move(list), kVocabulary);
}

/// Everything that a run has, with dropout, accumulation, clipping and decay.
struct Training {
  Training(Runtime& runtime, MeshShape const& shape, ZeroStage zero, std::uint64_t start)
      : mesh{runtime, shape},
        model{config(), mesh},
        parameters{model, mesh, {.seed = start, .dtype = test::dtype(), .bucket_bytes = 20'000}},
        optimizer{parameters, {.weight_decay = 0.1, .clip = 1, .zero = zero}},
        loader{tokens(),
               mesh,
               {.batch = kBatch,
                .micro_batch = kBatch / (2 * mesh.size(Axis::dp)),
                .sequence = kSequence,
                .seed = 5}},
        trainer{runtime,
                mesh,
                model,
                optimizer,
                loader,
                {.rate = {.lr = 1e-3, .warmup = 3, .decay_steps = 20},
                 .pass = {.dtype = test::dtype(), .seed = 5, .dropout = 0.1},
                 .check_every = 1}} {
    choose_algorithms({.deterministic = Determinism::on}, trainer.compute());
    trainer.visit_state(state);
  }
  std::vector<StepMetrics> steps(int count) {
    std::vector<StepMetrics> all;
    for (int i = 0; i < count; ++i) all.push_back(trainer.step());
    return all;
  }
  test::GlobalState saved() { return test::saved(state, mesh); }
  void load(test::GlobalState const& whole) {
    test::load(whole, state, mesh);
    trainer.after_load();
  }

  Mesh mesh;
  Gpt model;
  Parameters parameters;
  AdamW optimizer;
  Loader loader;
  Trainer trainer;
  State state;
};

/// What a run has after three steps, what it has after six, and the steps between.
struct Record {
  test::GlobalState middle, end;
  std::vector<StepMetrics> steps;
};

Record uninterrupted(Runtime& runtime, MeshShape const& shape, ZeroStage zero) {
  Training run{runtime, shape, zero, 1};
  Record record;
  run.steps(3);
  record.middle = run.saved();
  record.steps = run.steps(3);
  record.end = run.saved();
  return record;
}

std::vector<MeshShape> meshes(int ranks) {
  switch (ranks) {
    case 1:
      return {{}};
    case 2:
      return {{.dp = 2}, {.row = 2}};
    default:
      return {{.dp = 2, .row = 2}, {.row = 2, .col = 2}};
  }
}

TEST_CASE("on the same mesh a resumed run has the bits of one that never stopped") {
  for (MeshShape const& shape : meshes(test::runtime().size())) {
    for (ZeroStage zero : {ZeroStage::zero, ZeroStage::one}) {
      Record const record = uninterrupted(test::runtime(), shape, zero);
      CHECK(record.middle.texts.at("train/step") == "3");
      CHECK(record.middle.texts.at("data/cursor").starts_with("epoch=0 index=36 "));
      Training resumed{test::runtime(), shape, zero, 2};
      resumed.load(record.middle);
      CHECK(resumed.trainer.steps_done() == 3);
      std::vector<StepMetrics> const steps = resumed.steps(3);
      INFO(to_string(shape) << " zero " << static_cast<int>(zero));
      for (std::size_t i = 0; i < steps.size(); ++i) {
        CHECK(steps[i].step == record.steps[i].step);
        CHECK(steps[i].loss == record.steps[i].loss);
        CHECK(steps[i].grad_norm == record.steps[i].grad_norm);
        CHECK(steps[i].lr == record.steps[i].lr);
      }
      CHECK(test::equal(resumed.saved(), record.end));
    }
  }
}

TEST_CASE("on another mesh a resumed run has the same state, and goes on with the same numbers") {
  int const size = test::runtime().size();
  test::Tolerance const allowed = test::mesh_tolerance(test::dtype());
  std::vector<MeshShape> from = meshes(size), to = meshes(size);
  to.push_back({});  // one rank of all
  for (MeshShape const& a : from) {
    Record record = uninterrupted(test::runtime(), a, ZeroStage::one);
    for (MeshShape const& b : to) {
      INFO(to_string(a) << " to " << to_string(b));
      test::on_first_ranks(b.ranks(), [&](Runtime& runtime) {
        Training resumed{runtime, b, ZeroStage::zero, 2};
        resumed.load(record.middle);
        CHECK(test::equal(resumed.saved(), record.middle));
        std::vector<StepMetrics> const steps = resumed.steps(3);
        for (std::size_t i = 0; i < steps.size(); ++i) {
          CHECK(std::abs(steps[i].loss / record.steps[i].loss - 1) <= allowed.loss);
          CHECK(std::abs(steps[i].grad_norm / record.steps[i].grad_norm - 1) <= allowed.norm);
        }
      });
    }
  }
}

}  // namespace
}  // namespace dsr
