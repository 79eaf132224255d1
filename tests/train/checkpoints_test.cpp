// SPDX-License-Identifier: Apache-2.0
// TrainingCheckpoints around a small Trainer: lock, signals, intervals, reports, the command line.
#include "dsr/train/checkpoints.hpp"

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "dsr/comm/collectives.hpp"
#include "dsr/core/error.hpp"
#include "dsr/data/loader.hpp"
#include "dsr/io/files.hpp"
#include "dsr/model/gpt.hpp"
#include "dsr/train/settings.hpp"
#include "dsr/train/status.hpp"
#include "support/catch.hpp"
#include "support/faulty_files.hpp"
#include "support/ranks.hpp"
#include "support/shared_directory.hpp"

namespace dsr {
namespace {

using test::runtime;
using Clock = std::chrono::steady_clock;

Tokens tokens() {
  std::vector<std::int32_t> list;
  for (std::int32_t i = 0; i < 600; ++i) list.push_back((i * i + 3 * i) % 59);
  return memory_tokens(std::move(list), 59);
}

/// Data parallel over all ranks; each step of a replica has one micro-batch.
struct Run {
  Run()
      : mesh{runtime(), {.dp = runtime().size()}},
        model{{.layers = 1, .hidden = 16, .heads = 2, .vocabulary = 59, .sequence = 8}, mesh},
        parameters{model, mesh, {.seed = 3}},
        optimizer{parameters, {}},
        loader{tokens(), mesh, {.batch = 4, .micro_batch = 4 / runtime().size(), .sequence = 8}},
        trainer{runtime(), mesh, model, optimizer, loader, {}} {}
  Mesh mesh;
  Gpt model;
  Parameters parameters;
  AdamW optimizer;
  Loader loader;
  Trainer trainer;
};

/// A run's folder and settings that all ranks know.
struct Folder {
  Folder() {
    settings.run.dir = path + "/run";
    settings.checkpoint.cold.path = "";
    settings.checkpoint.warm.every_s = 0;
    settings.checkpoint.fragments = "off";
    settings.checkpoint.lease_s = 0.4;
  }
  /// Names of the committed sets of a tier, the oldest first. All ranks ask.
  std::vector<std::string> sets(std::string const& tier) const {
    wait_for_all(runtime().world());
    std::vector<std::string> names;
    std::string const directory = tier.starts_with('/') ? tier : settings.run.dir + "/" + tier;
    for (FoundSet const& set : sets_of_tier(system_files(), directory))
      if (set.committed) names.push_back(to_string(set.name));
    wait_for_all(runtime().world());
    return names;
  }
  test::SharedDirectory place;
  std::string const& path = place.path();
  TrainSettings settings;
};

template <class F>
int exit_code_of(F&& call, std::string& text) {
  try {
    call();
  } catch (Error const& error) {
    text = error.what();
    return error.exit_code();
  }
  return 0;
}

bool has(std::string const& text, std::string const& part) { return text.find(part) != text.npos; }

void train(Run& run, TrainingCheckpoints& checkpoints, Size steps) {
  run.trainer.between_steps([&] { checkpoints.after_step(); });
  run.trainer.run_to(steps);
}

std::vector<nlohmann::json> records(std::string const& path) {
  std::vector<nlohmann::json> found;
  std::ifstream file{path};
  for (std::string line; std::getline(file, line);) found.push_back(nlohmann::json::parse(line));
  return found;
}

}  // namespace

TEST_CASE("warm sets at every steps and at the end, each told in the metrics") {
  Folder folder;
  folder.settings.checkpoint.warm.every = 2;
  Run run;
  {
    TrainingCheckpoints checkpoints{runtime(), run.mesh, run.trainer, folder.settings};
    checkpoints.begin({});
    auto const metrics = open_metrics(folder.settings, runtime(), checkpoints.generation());
    checkpoints.write_to(metrics.get());
    run.trainer.between_steps([&] {
      checkpoints.after_step();
      checkpoints.finish();  // nothing is left out, however slow the disk
    });
    run.trainer.run_to(5);
    CHECK(checkpoints.age_steps() == 0);
    CHECK(checkpoints.exit_code() == 0);
    CHECK(checkpoints.generation() == 1);
  }
  // finish() between steps has saved those that are no multiple too.
  CHECK(folder.sets("checkpoints") == std::vector<std::string>{"step_000000003.g001",
                                                               "step_000000004.g001",
                                                               "step_000000005.g001"});
  if (runtime().rank() != 0) return;
  Size step = 0;
  for (nlohmann::json const& record : records(folder.settings.run.dir + "/metrics.jsonl")) {
    CHECK(record["step"] == ++step);
    CHECK((record["checkpoint_tier"] == "warm" && record["checkpoint_state"] == "acknowledged"));
    CHECK((record["checkpoint_bytes"] > 0 && record["checkpoint_write_gb_s"] > 0));
    CHECK((record["checkpoint_stall_ms"] > 0 && record["checkpoint_age_steps"] == 0));
    CHECK(record["generation"] == 1);
  }
  CHECK(step == 5);
}

TEST_CASE("three tiers, each at its own steps; the same command again adds nothing") {
  Folder folder;
  folder.settings.checkpoint.hot = {.path = folder.path + "/hot", .every = 1};
  folder.settings.checkpoint.warm.every = 2;
  folder.settings.checkpoint.cold.path = "final";
  for (int start = 1; start <= 2; ++start) {
    Run run;
    TrainingCheckpoints checkpoints{runtime(), run.mesh, run.trainer, folder.settings};
    CHECK(checkpoints.generation() == start);
    checkpoints.begin({});
    CHECK(run.trainer.steps_done() == (start == 1 ? 0 : 4));
    train(run, checkpoints, 4);
    checkpoints.finish();
    CHECK(checkpoints.age_steps() == 0);
    CHECK(folder.sets("checkpoints").back() == "step_000000004.g001");
    CHECK(folder.sets("final") == std::vector<std::string>{"step_000000004.g001"});
  }
  // Sets of a hot tier lie below the run's own name.
  auto const hot = system_files().list(folder.path + "/hot");
  REQUIRE(hot.size() == 1);
  CHECK(hot[0].name.starts_with("run."));
  CHECK_FALSE(folder.sets(folder.path + "/hot/" + hot[0].name).empty());
}

TEST_CASE("a hot tier that was given up has not saved the last step") {
  for (std::string const warm : {"checkpoints", ""}) {
    Folder folder;
    folder.settings.checkpoint.hot = {.path = folder.path + "/hot", .every = 1};
    folder.settings.checkpoint.warm.path = warm;
    folder.settings.checkpoint.warm.every = 0;
    test::FaultyFiles full{system_files()};
    full.watch([&](test::CallPlace const& place) {
      bool const hot = place.path.starts_with(folder.path + "/hot/");
      if (place.call == test::Call::create && hot && has(place.path, "/step_"))
        throw IoError("no room", ENOSPC);
    });
    Run run;
    TrainingCheckpoints checkpoints{runtime(), run.mesh, run.trainer, folder.settings, full};
    checkpoints.begin({});
    auto const metrics = open_metrics(folder.settings, runtime(), checkpoints.generation());
    checkpoints.write_to(metrics.get());
    run.trainer.between_steps([&] {
      checkpoints.after_step();
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    });
    run.trainer.run_to(30);
    checkpoints.finish();
    if (!warm.empty()) CHECK(folder.sets(warm) == std::vector<std::string>{"step_000000030.g001"});
    CHECK(checkpoints.age_steps() == (warm.empty() ? 30 : 0));
    if (runtime().rank() != 0) continue;
    int failed = 0;
    for (nlohmann::json const& record : records(folder.settings.run.dir + "/metrics.jsonl"))
      if (record["checkpoint_tier"] == "hot" && record["checkpoint_state"] == "failed") ++failed;
    CHECK(failed == 2);
  }
}

TEST_CASE("--fresh sees the sets of all tiers") {
  Folder folder;
  folder.settings.checkpoint.hot = {.path = folder.path + "/hot", .every = 1};
  folder.settings.checkpoint.warm.path = "";
  CommandLine fresh;
  fresh.fresh = true;
  for (int start = 1; start <= 3; ++start) {
    Run run;
    TrainingCheckpoints checkpoints{runtime(), run.mesh, run.trainer, folder.settings};
    std::string text;
    fresh.force = start == 3;
    CHECK(exit_code_of([&] { checkpoints.begin(fresh); }, text) == (start == 2 ? 78 : 0));
    if (start == 2) {
      CHECK(has(text, "step_000000001.g001"));
      continue;
    }
    train(run, checkpoints, 1);
    checkpoints.finish();
    CHECK(checkpoints.age_steps() == 0);
  }
}

TEST_CASE("by time alone, as rank 0's clock says") {
  Folder folder;
  folder.settings.checkpoint.warm.every = 0;
  folder.settings.checkpoint.warm.every_s = 3;
  folder.settings.checkpoint.at_exit = false;
  Run run;
  TrainingCheckpoints checkpoints{runtime(), run.mesh, run.trainer, folder.settings};
  checkpoints.begin({});
  train(run, checkpoints, 1);
  CHECK(checkpoints.age_steps() == 1);
  std::this_thread::sleep_for(std::chrono::milliseconds(3100));
  train(run, checkpoints, 2);
  checkpoints.finish();
  CHECK(folder.sets("checkpoints") == std::vector<std::string>{"step_000000002.g001"});
}

TEST_CASE("a signal on one rank stops all of them after the same step, with a warm set") {
  for (int const signal : {SIGTERM, SIGUSR1}) {
    Folder folder;
    Run run;
    TrainingCheckpoints checkpoints{runtime(), run.mesh, run.trainer, folder.settings};
    checkpoints.begin({});
    run.trainer.on_step([&](StepMetrics const& step) {
      if (step.step == 3 && runtime().rank() == runtime().size() - 1) ::raise(signal);
    });
    train(run, checkpoints, 1000);
    checkpoints.finish();
    CHECK(run.trainer.steps_done() == 3);
    CHECK(checkpoints.exit_code() == 75);
    CHECK(folder.sets("checkpoints") == std::vector<std::string>{"step_000000003.g001"});
  }
}

TEST_CASE("with at_exit = false signals are not touched, and nothing is saved at the end") {
  Folder folder;
  folder.settings.checkpoint.at_exit = false;
  Run run;
  struct sigaction before {
  }, now{};
  REQUIRE(::sigaction(SIGTERM, nullptr, &before) == 0);
  TrainingCheckpoints checkpoints{runtime(), run.mesh, run.trainer, folder.settings};
  REQUIRE(::sigaction(SIGTERM, nullptr, &now) == 0);
  CHECK(now.sa_handler == before.sa_handler);
  checkpoints.begin({});
  train(run, checkpoints, 1);
  checkpoints.finish();
  CHECK(folder.sets("checkpoints").empty());
}

TEST_CASE("a folder that another run holds is refused on every rank with exit code 75") {
  Folder folder;
  folder.settings.checkpoint.lease_s = 30;
  std::unique_ptr<RunLock> other;
  if (runtime().rank() == 0) {
    other = std::make_unique<RunLock>(
        system_files(), folder.settings.run.dir,
        RunLockOptions{.lease_s = 0.4, .self = LockHolder{"node7", 12, ""}});
  }
  Run run;
  std::string text;
  auto const start = Clock::now();
  CHECK(exit_code_of(
            [&] {
              TrainingCheckpoints{runtime(), run.mesh, run.trainer, folder.settings};
            },
            text) == 75);
  CHECK(Clock::now() - start < std::chrono::seconds(25));
  CHECK(has(text, "process 12 on node7, which is alive"));
  CHECK_FALSE(file_exists(folder.settings.run.dir + "/checkpoints"));
}

TEST_CASE("a run whose lock has been taken commits nothing more and ends with exit code 75") {
  Folder folder;
  folder.settings.checkpoint.warm.every = 1;
  Run run;
  TrainingCheckpoints checkpoints{runtime(), run.mesh, run.trainer, folder.settings};
  checkpoints.begin({});
  std::unique_ptr<RunLock> other;
  if (runtime().rank() == 0) {
    system_files().remove_file(folder.settings.run.dir + "/lock");
    other = std::make_unique<RunLock>(
        system_files(), folder.settings.run.dir,
        RunLockOptions{.lease_s = 30, .self = LockHolder{"node7", 12, ""}});
  }
  std::string text;
  CHECK(exit_code_of([&] { train(run, checkpoints, 100'000); }, text) == 75);
  CHECK(has(text, "taken over by process 12 on node7"));
  CHECK(folder.sets("checkpoints").empty());
}

TEST_CASE("the command line: required, fresh and force") {
  Folder folder;
  std::string text;
  Run run;
  auto const begin = [&](CommandLine const& line) {
    TrainingCheckpoints checkpoints{runtime(), run.mesh, run.trainer, folder.settings};
    checkpoints.begin(line);
    train(run, checkpoints, run.trainer.steps_done() + 1);
    checkpoints.finish();
    return checkpoints.generation();
  };
  folder.settings.checkpoint.resume = "required";
  CHECK(exit_code_of([&] { begin({}); }, text) == 65);
  CHECK(has(text, "no committed set to resume from in any tier"));
  folder.settings.checkpoint.resume = "auto";
  CHECK(begin({}) == 1);
  CommandLine fresh;
  fresh.fresh = true;
  CHECK(exit_code_of([&] { begin(fresh); }, text) == 78);
  CHECK(has(text, "step_000000001.g001"));
  fresh.force = true;
  begin(fresh);
  CHECK(folder.sets("checkpoints").size() == 1);
  folder.settings.checkpoint.resume = "required";
  CHECK_NOTHROW(begin({}));
}

TEST_CASE("tiers as the settings say, and what they cannot be") {
  TrainSettings settings;
  settings.run.dir = "runs/a";
  settings.checkpoint.limit_bytes_per_s = 1001;
  settings.checkpoint.hot = {.path = "/local", .every = 5, .keep = 4, .partner = true};
  settings.checkpoint.cold = {
      .path = "/models", .keep = 2, .content = "all", .dtype = "f32", .level = 7};
  CheckpointOptions const options = checkpoint_options(settings, 4);
  CHECK((options.warm.directory == "runs/a/checkpoints" && options.warm.keep == 3));
  CHECK((options.hot.directory == "/local" && options.hot.keep == 4));
  CHECK(options.hot.partner == Partner::next);
  CHECK((options.cold.directory == "/models" && options.cold.keep == 2 && options.cold.level == 7));
  CHECK((options.cold.content == ColdContent::all && options.cold.dtype == DType::f32));
  // A node's limit is shared by its ranks, rounded up: 0 would be none.
  CHECK(options.staging.limit_bytes_per_s == 251);
  CHECK(checkpoint_options(settings).staging.limit_bytes_per_s == 1001);
  settings.checkpoint.limit_bytes_per_s = 3;
  CHECK(checkpoint_options(settings, 4).staging.limit_bytes_per_s == 1);
  settings.checkpoint.limit_bytes_per_s = 0;
  CHECK(checkpoint_options(settings, 4).staging.limit_bytes_per_s == 0);
  settings.checkpoint.cold.keep = 1;
  settings.checkpoint.warm.path = "";
  settings.data.train = "x";
  CHECK(checkpoint_options(settings).warm.directory.empty());
  std::string text;
  CHECK(exit_code_of([&] { validate(settings, 1); }, text) == 78);
  CHECK(has(text, "checkpoint.cold.keep: 1, allowed 0 (all), 2 or more"));
}

}  // namespace dsr
