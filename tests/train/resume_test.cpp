// SPDX-License-Identifier: Apache-2.0
// A run that is saved, ended and resumed: the same numbers as the run that went on, on its own mesh
// to the last bit, on others within the bounds of mesh parity.
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

#include "dsr/checkpoint/checkpointer.hpp"
#include "dsr/comm/collectives.hpp"
#include "dsr/comm/mpi.hpp"
#include "dsr/core/error.hpp"
#include "dsr/data/loader.hpp"
#include "dsr/model/gpt.hpp"
#include "dsr/ops/algorithms.hpp"
#include "dsr/train/checkpoints.hpp"
#include "support/catch.hpp"
#include "support/device.hpp"
#include "support/meshes.hpp"
#include "support/ranks.hpp"
#include "support/shared_directory.hpp"
#include "support/tolerances.hpp"

namespace dsr {
namespace {

constexpr Size kBatch = 12, kSequence = 8;

Tokens tokens() {
  std::vector<std::int32_t> list;
  for (std::int32_t i = 0; i < 600; ++i) list.push_back((i * i + 3 * i) % 59);
  return memory_tokens(std::move(list), 59);
}

/// A run as a program has it; another seed shows that what is loaded replaces everything.
struct Run {
  Run(Runtime& runtime, MeshShape const& shape, ZeroStage zero, std::uint64_t seed)
      : mesh{runtime, shape},
        model{{.layers = 2,
               .hidden = test::on_cuda() ? 192 : 48,
               .heads = test::on_cuda() ? 24 : 12,
               .vocabulary = 59,
               .sequence = kSequence},
              mesh},
        parameters{model, mesh, {.seed = seed, .dtype = test::dtype(), .bucket_bytes = 20'000}},
        optimizer{parameters, {.weight_decay = 0.1, .clip = 1.0, .zero = zero}},
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
                {.rate = {.lr = 1e-3, .warmup = 3},
                 .pass = {.dtype = test::dtype(), .seed = 5, .dropout = 0.1}}} {
    choose_algorithms({.deterministic = Determinism::on}, trainer.compute());
    trainer.visit_state(state);
  }
  std::vector<double> steps(int count) {
    std::vector<double> numbers;
    for (int i = 0; i < count; ++i) {
      StepMetrics const m = trainer.step();
      numbers.push_back(m.loss);
      numbers.push_back(m.grad_norm);
    }
    return numbers;
  }
  Mesh mesh;
  Gpt model;
  Parameters parameters;
  AdamW optimizer;
  Loader loader;
  Trainer trainer;
  State state;
};

bool save(Runtime& runtime, Run& run, std::string const& directory) {
  Checkpointer checkpointer{runtime, run.mesh, system_files(),
                            {.warm = {.directory = directory}}};
  REQUIRE(checkpointer.save(run.state, run.trainer.steps_done()));
  auto const report = checkpointer.wait();
  REQUIRE(report);
  INFO(report->reason);
  return report->acknowledged;
}

std::optional<ResumedSet> load(Runtime& runtime, Run& run, std::string const& directory) {
  Checkpointer checkpointer{runtime, run.mesh, system_files(),
                            {.warm = {.directory = directory}}};
  auto const resumed = checkpointer.load(run.state);
  if (resumed) run.trainer.after_load();
  return resumed;
}

void check_close(std::vector<double> const& found, std::vector<double> const& expected) {
  REQUIRE(found.size() == expected.size());
  test::Tolerance const allowed = test::mesh_tolerance(DType::f32);
  for (std::size_t i = 0; i < found.size(); ++i) {
    CAPTURE(i, found[i], expected[i]);
    CHECK(std::abs(found[i] / expected[i] - 1) <= (i % 2 == 0 ? allowed.loss : allowed.norm));
  }
}

}  // namespace

TEST_CASE("a resumed run equals the one that went on, bit for bit, and on one rank within parity") {
  for (MeshShape const& shape : test::promised_meshes(test::runtime().size())) {
    for (ZeroStage zero : {ZeroStage::zero, ZeroStage::one}) {
      INFO(to_string(shape) << ", zero " << static_cast<int>(zero));
      test::SharedDirectory const directory;
      Run first{test::runtime(), shape, zero, 5};
      first.steps(3);
      REQUIRE(save(test::runtime(), first, directory.path()));
      std::vector<double> const expected = first.steps(3);

      Run second{test::runtime(), shape, zero, 6};
      second.steps(1);  // what it has by then must not show
      auto const resumed = load(test::runtime(), second, directory.path());
      REQUIRE(resumed);
      CHECK(resumed->name == SetName{3, 1});
      CHECK(second.trainer.steps_done() == 3);
      CHECK(second.loader.cursor() == Cursor{0, 3 * kBatch});
      CHECK(second.steps(3) == expected);
      CHECK(second.parameters.hash_values() == first.parameters.hash_values());

      if (test::on_cuda()) continue;  // a runtime of one rank would have to share the device
      Runtime self = runtime_on(MPI_COMM_SELF, {.threads = test::runtime().threads(),
                                                .termination = Termination::off});
      Run alone{self, {}, ZeroStage::zero, 7};
      REQUIRE(load(self, alone, directory.path()));
      check_close(alone.steps(3), expected);
    }
  }
}

TEST_CASE("a run resumed from a hot or a whole cold set equals the one that went on, bit for bit") {
  for (MeshShape const& shape : test::promised_meshes(test::runtime().size())) {
    for (Tier const tier : {Tier::hot, Tier::cold}) {
      INFO(to_string(shape) << ", " << name_of(tier));
      test::SharedDirectory const directory;
      CheckpointOptions options;
      if (tier == Tier::hot)
        options.hot.directory = directory.path();
      else
        options.cold = {.directory = directory.path(), .content = ColdContent::all};
      Run first{test::runtime(), shape, ZeroStage::one, 5};
      first.steps(2);
      {
        Checkpointer checkpointer{test::runtime(), first.mesh, system_files(), options};
        REQUIRE(checkpointer.save(first.state, first.trainer.steps_done(), {tier}));
        auto const report = checkpointer.wait();
        REQUIRE(report);
        INFO(report->reason);
        REQUIRE(report->acknowledged);
      }
      std::vector<double> const expected = first.steps(2);

      Run second{test::runtime(), shape, ZeroStage::one, 6};
      Checkpointer checkpointer{test::runtime(), second.mesh, system_files(), options};
      auto const resumed = checkpointer.load(second.state);
      REQUIRE(resumed);
      CHECK(resumed->tier == tier);
      second.trainer.after_load();
      CHECK(second.steps(2) == expected);
      CHECK(second.parameters.hash_values() == first.parameters.hash_values());
    }
  }
}

TEST_CASE("a damaged set is set aside, named, and the one before it is used") {
  test::SharedDirectory const directory;
  MeshShape const shape{.dp = test::runtime().size()};
  Run run{test::runtime(), shape, ZeroStage::one, 5};
  run.steps(1);
  REQUIRE(save(test::runtime(), run, directory.path()));
  run.steps(1);
  REQUIRE(save(test::runtime(), run, directory.path()));
  std::string const newest = directory.path() + "/step_000000002.g002";
  if (test::runtime().rank() == 0) {
    std::fstream file{newest + "/rank_00000.h5", std::ios::in | std::ios::out | std::ios::binary};
    file.seekp(5000);
    file.put('\x55');
    REQUIRE(file.good());
  }
  wait_for_all(test::runtime().world());
  auto const resumed = load(test::runtime(), run, directory.path());
  REQUIRE(resumed);
  CHECK(resumed->name == SetName{1, 1});
  CHECK(run.trainer.steps_done() == 1);
  CHECK_FALSE(file_exists(newest));
  CHECK(file_exists(directory.path() + "/corrupt.step_000000002.g002"));
}

TEST_CASE("nothing to load is no error, another model's set is one on every rank") {
  test::SharedDirectory const directory;
  MeshShape const shape{.dp = test::runtime().size()};
  Run run{test::runtime(), shape, ZeroStage::zero, 5};
  CHECK_FALSE(load(test::runtime(), run, directory.path()));
  REQUIRE(save(test::runtime(), run, directory.path()));
  Parameter extra{Shard{{4}, {}, run.mesh.shape()}, {}};
  Buffer memory{64, kCpu};
  run.state.add("model/extra", Shard{{4}, {}, run.mesh.shape()},
                Tensor{memory.data(), {4}, DType::f32, kCpu});
  CHECK_THROWS_AS(load(test::runtime(), run, directory.path()), AgreedError);
}

TEST_CASE("old sets go when newer ones are acknowledged, and a save that fails leaves them") {
  test::SharedDirectory const directory;
  MeshShape const shape{.dp = test::runtime().size()};
  Run run{test::runtime(), shape, ZeroStage::zero, 5};
  Checkpointer checkpointer{test::runtime(), run.mesh, system_files(),
                            {.warm = {.directory = directory.path(), .keep = 2}}};
  for (Size step = 1; step <= 4; ++step) {
    REQUIRE(checkpointer.save(run.state, step));
    auto const report = checkpointer.wait();
    REQUIRE((report && report->acknowledged));
    CHECK(report->bytes > 0);
  }
  wait_for_all(test::runtime().world());
  CHECK(find_sets(system_files(), directory.path()).size() == 2);
  wait_for_all(test::runtime().world());
  // Reports wait until somebody asks.
  for (Size step = 6; step <= 7; ++step) {
    while (!checkpointer.save(run.state, step)) std::this_thread::yield();
  }
  auto const sixth = checkpointer.wait(), seventh = checkpointer.finished();
  REQUIRE((sixth && seventh));
  CHECK((sixth->name.step == 6 && seventh->name.step == 7));
  CHECK_FALSE(checkpointer.finished());
  wait_for_all(test::runtime().world());
  // The name is taken: this save cannot be made.
  if (test::runtime().rank() == 0)
    std::filesystem::create_directory(directory.path() + "/step_000000008.g001");
  wait_for_all(test::runtime().world());
  REQUIRE(checkpointer.save(run.state, 8));
  auto const report = checkpointer.wait();
  REQUIRE(report);
  CHECK_FALSE(report->acknowledged);
  CHECK(report->reason == "it is there already");
  auto const resumed = checkpointer.load(run.state);
  REQUIRE(resumed);
  CHECK(resumed->name.step == 7);
}

}  // namespace dsr
