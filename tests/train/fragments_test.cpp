// SPDX-License-Identifier: Apache-2.0
// A run that ends between two micro-batches and goes on there: the same bits as the one that did
// not end; and what it does where it cannot.
#include "dsr/train/fragments.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>

#include "dsr/comm/collectives.hpp"
#include "dsr/core/error.hpp"
#include "dsr/data/loader.hpp"
#include "dsr/model/gpt.hpp"
#include "dsr/ops/algorithms.hpp"
#include "support/catch.hpp"
#include "support/device.hpp"
#include "support/faulty_files.hpp"
#include "support/meshes.hpp"
#include "support/ranks.hpp"
#include "support/shared_directory.hpp"

namespace dsr {
namespace {

constexpr Size kSequence = 8, kMicroBatches = 4, kBatch = 16, kStep = 2;
std::string const kBase(32, 'b');

Tokens tokens() {
  std::vector<std::int32_t> list;
  for (std::int32_t i = 0; i < 600; ++i) list.push_back((i * i + 3 * i) % 59);
  return memory_tokens(std::move(list), 59);
}

struct Kind {
  MeshShape shape;
  ZeroStage zero = ZeroStage::zero;
  double dropout = 0.1;
};

/// A run that stands behind its first steps, as if it had loaded a set of them.
struct Run {
  explicit Run(Kind const& kind)
      : mesh{test::runtime(), kind.shape},
        model{{.layers = 2,
               .hidden = test::on_cuda() ? 192 : 48,
               .heads = test::on_cuda() ? 24 : 12,
               .vocabulary = 59,
               .sequence = kSequence},
              mesh},
        parameters{model, mesh, {.seed = 5, .dtype = test::dtype(), .bucket_bytes = 20'000}},
        optimizer{parameters, {.weight_decay = 0.1, .clip = 1.0, .zero = kind.zero}},
        loader{tokens(),
               mesh,
               {.batch = kBatch,
                .micro_batch = kBatch / (kMicroBatches * mesh.size(Axis::dp)),
                .sequence = kSequence,
                .seed = 5}},
        trainer{test::runtime(),
                mesh,
                model,
                optimizer,
                loader,
                {.rate = {.lr = 1e-3, .warmup = 3},
                 .pass = {.dtype = test::dtype(), .seed = 5, .dropout = kind.dropout}}} {
    choose_algorithms({.deterministic = Determinism::on}, trainer.compute());
    for (Size i = 0; i < kStep; ++i) trainer.step();
  }
  int replica() const { return mesh.place()[Axis::dp]; }
  /// What can be seen of the next steps.
  std::vector<double> steps(int count) {
    std::vector<double> numbers;
    for (int i = 0; i < count; ++i) {
      StepMetrics const m = trainer.step();
      numbers.insert(numbers.end(), {m.loss, m.grad_norm, static_cast<double>(m.tokens)});
    }
    auto const hash = parameters.hash_values();
    numbers.push_back(static_cast<double>(hash >> 32U));
    numbers.push_back(static_cast<double>(hash & 0xFFFFFFFFU));
    return numbers;
  }
  Mesh mesh;
  Gpt model;
  Parameters parameters;
  AdamW optimizer;
  Loader loader;
  Trainer trainer;
};

std::string slot_in(test::SharedDirectory const& directory, int rank, int number) {
  return directory.path() + "/rank_0000" + std::to_string(rank) + "." + std::to_string(number);
}

struct Killed {};

/// The same fragments for every run of a test.
std::unique_ptr<GradientFragments> fragments_of(Run& run, std::string const& directory,
                                                int generation = 1,
                                                FileSystem& files = system_files(),
                                                std::string const& settings = "") {
  return std::make_unique<GradientFragments>(test::runtime(), run.mesh, run.trainer, files,
                                             FragmentOptions{.policy = FragmentPolicy::always,
                                                             .directory = directory,
                                                             .generation = generation,
                                                             .settings = settings});
}

/// Ends within the next step behind a micro-batch, with its fragment on the disk. Returns the first
/// micro-batch that it did.
Size kill_behind(Run& run, GradientFragments& fragments, Size micro_batch) {
  Size first = 0;
  run.trainer.between_micro_batches([&](Accumulated const& done) {
    if (first == 0) first = done.micro_batches;
    fragments.offer(done);
    fragments.wait();
    if (done.micro_batches == micro_batch) throw Killed{};
  });
  CHECK_THROWS_AS(run.trainer.step(), Killed);
  wait_for_all(test::runtime().world());
  return first;
}

std::string kept(Size micro_batches) { return std::to_string(micro_batches) + " of 4 kept"; }

bool says(std::string const& line, std::string const& part) {
  return line.find(part) != std::string::npos;
}

std::vector<Kind> kinds() {
  std::vector<Kind> list;
  for (MeshShape const& shape : test::promised_meshes(test::runtime().size())) {
    list.push_back({shape, ZeroStage::zero});
    list.push_back({shape, ZeroStage::one});
  }
  list.push_back({list.front().shape, ZeroStage::one, 0});  // from a graph, on one GPU
  return list;
}

}  // namespace

TEST_CASE("Ended in a step, twice, each replica elsewhere: goes on there, bit for bit") {
  for (Kind const& kind : kinds()) {
    INFO(to_string(kind.shape) << ", zero " << static_cast<int>(kind.zero));
    test::SharedDirectory const directory;
    Run whole{kind};
    std::vector<double> const expected = whole.steps(2);
    {
      Run run{kind};
      auto const fragments = fragments_of(run, directory.path(), 1);
      fragments->acknowledged(kStep, kBase);
      CHECK(kill_behind(run, *fragments, run.replica() == 0 ? 2 : 1) == 1);
    }
    {
      Run run{kind};
      auto const fragments = fragments_of(run, directory.path(), 2);
      std::string const line = fragments->resume(kStep, kBase);
      INFO(line);
      CHECK(says(line, "replica 0: " + kept(2)));
      if (kind.shape.dp > 1) CHECK(says(line, "replica 1: " + kept(1)));
      CHECK(kill_behind(run, *fragments, 3) == (run.replica() == 0 ? 3 : 2));
    }
    Run run{kind};
    auto const fragments = fragments_of(run, directory.path(), 3);
    CHECK(says(fragments->resume(kStep, kBase), kept(3)));
    CHECK(run.steps(2) == expected);
  }
}

TEST_CASE("A rank whose newest slot is damaged takes its replica one micro-batch back") {
  for (Kind const& kind : kinds()) {
    test::SharedDirectory const directory;
    Run whole{kind};
    std::vector<double> const expected = whole.steps(1);
    Run run{kind};
    auto fragments = fragments_of(run, directory.path());
    fragments->acknowledged(kStep, kBase);
    kill_behind(run, *fragments, 3);
    if (test::runtime().rank() == 0) {
      std::fstream file{slot_in(directory, 0, 0), std::ios::in | std::ios::out | std::ios::binary};
      file.seekp(9000);
      file.put('\x55');
      file.put('\x33');
      REQUIRE(file.good());
    }
    wait_for_all(test::runtime().world());
    Run again{kind};
    fragments = fragments_of(again, directory.path());
    std::string const line = fragments->resume(kStep, kBase);
    INFO(line);
    CHECK(says(line, "replica 0: " + kept(2)));
    if (kind.shape.dp > 1) CHECK(says(line, "replica 1: " + kept(3)));
    CHECK(again.steps(1) == expected);
  }
}

TEST_CASE("A replica that lost a rank's slots redoes its accumulation, others do not") {
  Kind const kind = kinds().back();
  test::SharedDirectory const directory;
  Run whole{kind};
  std::vector<double> const expected = whole.steps(1);
  Run run{kind};
  auto fragments = fragments_of(run, directory.path());
  fragments->acknowledged(kStep, kBase);
  kill_behind(run, *fragments, 2);
  int const lost = test::runtime().size() - 1;
  if (test::runtime().rank() == lost) {
    for (int const number : {0, 1}) CHECK(std::filesystem::remove(slot_in(directory, lost, number)));
  }
  wait_for_all(test::runtime().world());
  Run again{kind};
  fragments = fragments_of(again, directory.path());
  std::string const line = fragments->resume(kStep, kBase);
  INFO(line);
  CHECK(says(line, "none kept, rank " + std::to_string(lost) + " has no fragment"));
  CHECK(says(line, kept(2)) == (kind.shape.dp > 1));
  CHECK(again.steps(1) == expected);
}

TEST_CASE("Fragments of another set or with other settings are named and not used") {
  Kind const kind = kinds().front();
  test::SharedDirectory const directory;
  Run whole{kind};
  std::vector<double> const expected = whole.steps(1);
  Run run{kind};
  auto fragments = fragments_of(run, directory.path());
  fragments->acknowledged(kStep, kBase);
  kill_behind(run, *fragments, 2);
  {
    Run again{kind};
    fragments = fragments_of(again, directory.path());
    CHECK(says(fragments->resume(kStep, std::string(32, 'c')),
               "none kept, its fragments belong to another set"));
    CHECK(again.steps(1) == expected);
  }
  {
    Run again{kind};
    fragments = fragments_of(again, directory.path(), 1, system_files(), "heads 8");
    CHECK(says(fragments->resume(kStep, kBase), "its fragments are of other settings"));
    CHECK(again.steps(1) == expected);
  }
  if (test::runtime().size() > 1) {
    Kind other = kind;
    other.shape = test::promised_meshes(test::runtime().size())[1];
    Run again{other};
    fragments = fragments_of(again, directory.path());
    std::string const line = fragments->resume(kStep, kBase);
    INFO(line);
    CHECK(says(line, "its fragments are of another mesh"));
    CHECK_FALSE(says(line, " of 4 "));
  }
}

TEST_CASE("Fragments are written only where the step begins at the acknowledged set") {
  test::SharedDirectory const directory;
  Run run{kinds().front()};
  auto const fragments = fragments_of(run, directory.path());
  run.trainer.between_micro_batches([&](Accumulated const& done) {
    fragments->offer(done);
    fragments->wait();
  });
  run.trainer.step();
  CHECK(fragments->written() == 0);
  // Ranks learn of it at different times: they begin together.
  int calls = 0;
  run.trainer.between_micro_batches([&](Accumulated const& done) {
    if (++calls == 2 || test::runtime().rank() > 0) fragments->acknowledged(kStep + 1, kBase);
    fragments->offer(done);
    fragments->wait();
  });
  run.trainer.step();
  CHECK((fragments->written() == 2 || (fragments->written() == 3 && run.replica() > 0)));
  run.trainer.step();
  CHECK(fragments->written() <= 3);
}

TEST_CASE("A disk that fails on one rank ends the fragments of its replica, not the run") {
  using test::Call;
  for (Call const call : {Call::make_directory, Call::allocate, Call::write_at, Call::sync_data}) {
    Kind const kind = kinds().front();
    test::SharedDirectory const directory;
    Run whole{kind};
    std::vector<double> const expected = whole.steps(1);
    Run run{kind};
    test::FaultyFiles files{system_files()};
    if (test::runtime().rank() == 0)
      files.faults().fail_at(call, 1, ENOSPC, test::Lasting::persistent);
    // Of its own: a directory that another rank has made needs no call of this one.
    std::string const below =
        directory.path() + "/fragments" + std::to_string(test::runtime().rank());
    auto const fragments = fragments_of(run, below, 1, files);
    fragments->acknowledged(kStep, kBase);
    run.trainer.between_micro_batches([&](Accumulated const& done) {
      fragments->offer(done);
      fragments->wait();
    });
    CHECK(run.steps(1) == expected);
    CHECK(fragments->written() == (run.replica() == 0 ? 1 : 3));
  }
}

TEST_CASE("auto measures a copy, then perhaps a fragment, and decides") {
  for (double const mttf_s : {1e-12, 1e15}) {
    test::SharedDirectory const directory;
    Run run{kinds().front()};
    GradientFragments fragments{test::runtime(),
                                run.mesh,
                                run.trainer,
                                system_files(),
                                {.mttf_s = mttf_s, .directory = directory.path()}};
    CHECK(fragments.resume(kStep, kBase).empty());  // nothing there, nothing to say
    run.trainer.between_micro_batches([&](Accumulated const& done) {
      fragments.acknowledged(run.trainer.steps_done(), kBase);
      fragments.offer(done);
      fragments.wait();
    });
    run.trainer.between_steps([&] { fragments.after_step(); });
    run.trainer.run_to(kStep + 1);
    CHECK(fragments.on());  // no step was timed yet
    run.trainer.run_to(kStep + 2);
    CHECK(fragments.on() == (mttf_s < 1));
    CHECK(fragments.written() == 0);
    run.trainer.run_to(kStep + 3);
    CHECK(fragments.written() == (mttf_s < 1 ? 1 : 0));
  }
}

TEST_CASE("Options that do not fit, and steps that cannot go on") {
  Run run{kinds().front()};
  auto const make = [&run](FragmentOptions const& options) {
    GradientFragments{test::runtime(), run.mesh, run.trainer, system_files(), options};
  };
  CHECK_THROWS_AS(make({.mttf_s = 0, .directory = "x"}), InvalidArgument);
  CHECK_THROWS_AS(make({.policy = FragmentPolicy::always}), InvalidArgument);
  make({.policy = FragmentPolicy::off});
  CHECK_THROWS_AS(run.trainer.resume_step({0, 0}, 0), InvalidArgument);
  CHECK_THROWS_AS(run.trainer.resume_step({kMicroBatches, 0}, 0), InvalidArgument);
}

TEST_CASE("What was loaded replaces a step that was to go on") {
  Kind const kind = kinds().front();
  Run whole{kind};
  std::vector<double> const expected = whole.steps(1);
  Run run{kind};
  run.trainer.resume_step({1, 5}, 3);
  run.trainer.after_load();
  CHECK(run.steps(1) == expected);
}

}  // namespace dsr
