// SPDX-License-Identifier: Apache-2.0
#pragma once
/// The job that gpu_train runs and floor_benchmark takes apart: a model and the size of a step.
///
///     Job job;  CLI::App app;  add_options(app, job);  CLI11_PARSE(app, argc, argv);
#include <CLI/CLI.hpp>
#include <dsr/model/gpt.hpp>
#include <string>

namespace benchmark {

struct Job {
  std::string model = "1.3b";
  dsr::Size sequence = 2048, micro_batch = 8, accumulation = 2;  ///< sequences

  dsr::GptConfig config() const {
    dsr::GptConfig config = model == "124m" ? dsr::gpt2_124m() : dsr::gpt_1_3b();
    config.vocabulary = 50304;
    if (model == "tiny") config = {.layers = 2, .hidden = 64, .heads = 4, .vocabulary = 512};
    config.sequence = sequence;
    return config;
  }
  dsr::Size micro_tokens() const { return sequence * micro_batch; }
};

inline void add_options(CLI::App& app, Job& job) {
  app.add_option("--model", job.model, "124m, 1.3b, or tiny, which is for tests")
      ->check(CLI::IsMember({"124m", "1.3b", "tiny"}));
  app.add_option("--sequence", job.sequence, "tokens of a sequence")->check(CLI::PositiveNumber);
  app.add_option("--micro_batch", job.micro_batch, "sequences of a micro-batch")
      ->check(CLI::PositiveNumber);
  app.add_option("--accumulation", job.accumulation, "micro-batches of a step")
      ->check(CLI::PositiveNumber);
  app.option_defaults()->always_capture_default();
}

}  // namespace benchmark
