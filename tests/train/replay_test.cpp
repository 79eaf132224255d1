// SPDX-License-Identifier: Apache-2.0
// Micro-batches from a captured graph give the bits of micro-batches whose kernels the host
// launches; and rank 0's choice of algorithms reaches all ranks, and a file.
#include "dsr/train/replay.hpp"

#include <filesystem>

#include "dsr/comm/collectives.hpp"
#include "dsr/core/error.hpp"
#include "dsr/data/loader.hpp"
#include "dsr/io/files.hpp"
#include "dsr/model/gpt.hpp"
#include "dsr/train/trainer.hpp"
#include "support/catch.hpp"
#include "support/device.hpp"
#include "support/ranks.hpp"
#include "support/small_batch.hpp"

namespace dsr {
namespace {

GptConfig config() {
  return {.layers = 2, .hidden = 64, .heads = 4, .vocabulary = 61, .sequence = 32};
}

Tokens tokens() {
  std::vector<std::int32_t> list;
  for (std::int32_t i = 0; i < 4000; ++i) list.push_back(i * i % 61);
  return memory_tokens(std::move(list), 61);
}

struct Outcome {
  std::vector<double> losses;
  std::uint64_t weights = 0;
  std::string algorithms;
  bool operator==(Outcome const&) const = default;
};

void meet() { all_reduce_value(0, Reduce::sum, test::runtime().world()); }

Outcome train(TrainerOptions options) {
  options.rate = {.lr = 1e-2};
  options.pass.dtype = test::dtype();
  options.algorithms.deterministic = Determinism::on;
  Mesh const mesh{test::runtime(), {.dp = test::runtime().size()}};
  Gpt model{config(), mesh};
  Parameters parameters{model, mesh, {.dtype = test::dtype()}};
  AdamW optimizer{parameters, {.clip = 1.0}};
  Loader loader{tokens(), mesh, {.batch = 12, .micro_batch = 2, .sequence = 32}};
  Trainer trainer{test::runtime(), mesh, model, optimizer, loader, options};
  Outcome outcome;
  for (int i = 0; i < 5; ++i) {
    outcome.losses.push_back(trainer.step().loss);
    // A forward pass of another shape in between leaves the graph out, and must not disturb it.
    if (i == 2) trainer.evaluate(loader, 1);
  }
  outcome.weights = parameters.hash_values();
  outcome.algorithms = save_algorithms(trainer.compute());
  return outcome;
}

}  // namespace

TEST_CASE("a captured micro-batch gives the bits of one that the host launches") {
  Outcome const launched = train({.graphs = Graphs::off});
  CHECK(launched.losses.back() < launched.losses.front());
  CHECK(train({.graphs = Graphs::where_possible}) == launched);
}

TEST_CASE("work runs twice for a shape of batch and is replayed from then on") {
  if (test::runtime().size() > 1) return;
  Mesh const mesh{test::runtime(), {.dp = 1}};
  Gpt model{config(), mesh};
  Parameters parameters{model, mesh, {.dtype = test::dtype()}};
  Stream compute{mesh.device()}, exchange = test::runtime().communication_stream();
  PassOptions const options{.dtype = test::dtype()};
  Pass pass{mesh, compute, exchange, measure(model, mesh, 3, 32, options).arenas, options};
  Replay replay;
  int runs = 0;
  auto const run = [&](Size sequences) {
    test::SmallBatch batch{mesh, sequences, 32, 61};
    pass.begin(batch.batch(), Mode::train, 1);
    replay.run(pass, [&] {
      ++runs;
      model.forward(pass, {}, {});
      model.backward(pass, {}, {});
    });
    compute.synchronize();
  };
  run(3);
  CHECK_FALSE(replay.captured());
  run(3);
  CHECK(replay.captured());
  run(3);
  CHECK(runs == 2);
  run(2);
  CHECK_FALSE(replay.captured());
  CHECK(runs == 3);
  run(2);
  run(2);
  CHECK(runs == 4);
}

TEST_CASE("timed choices are rank 0's on every rank, kept in a file, and read from it") {
  std::string const file =
      (std::filesystem::temp_directory_path() / "dsr_replay_test_algorithms.txt").string();
  if (test::runtime().rank() == 0) std::filesystem::remove(file);
  meet();
  TrainerOptions const timed{.algorithms = {.choice = AlgorithmChoice::timed},
                             .algorithms_file = file};
  Outcome const first = train(timed);
  CHECK(first.algorithms.find("dsr matmul algorithms") == 0);
  meet();
  REQUIRE(file_exists(file));
  Outcome const second = train(timed);
  CHECK(second == first);
  meet();
  if (test::runtime().rank() == 0) FileWriter{file, FileStart::empty}.line("torn");
  meet();
  CHECK_NOTHROW(train(timed));
  meet();
  if (test::runtime().rank() == 0) std::filesystem::remove(file);
}

}  // namespace dsr
