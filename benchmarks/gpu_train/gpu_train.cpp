// SPDX-License-Identifier: Apache-2.0
/// Times optimizer steps of a GPT on one GPU, in bf16 with f32 masters, and prints one JSON object:
/// step_ms and loss (lists), tokens of a step, memory_mib in use on the device at the end. run.py
/// runs it in turn with twin.py, which does the same in PyTorch.
///
///     build/cuda/benchmarks/gpu_train/gpu_train --model 1.3b --sequence 2048 --micro_batch 8
#include <cuda_runtime_api.h>

#include <cstdint>
#include <dsr/dsr.hpp>
#include <fstream>
#include <iostream>
#include <iterator>
#include <vector>

#include "benchmarks/gpu_train/job.hpp"

namespace {

struct Settings {
  benchmark::Job job;
  dsr::Size steps = 20, warm_up = 5;
  bool timed = true, deterministic = false;
  std::string algorithms;
};

Settings parse(int argc, char** argv) {
  Settings settings;
  CLI::App app{"Steps of a GPT on one GPU"};
  benchmark::add_options(app, settings.job);
  app.add_option("--steps", settings.steps, "steps to time")->check(CLI::PositiveNumber);
  app.add_option("--warm_up", settings.warm_up, "steps before them")->check(CLI::NonNegativeNumber);
  app.add_flag("!--heuristic", settings.timed, "the library's choice of algorithms, not timed");
  app.add_flag("--deterministic", settings.deterministic, "the same bits every time");
  app.add_option("--algorithms", settings.algorithms,
                 "file of timed choices: read if it is there, else written");
  try {
    app.parse(argc, argv);
  } catch (CLI::ParseError const& error) {
    std::exit(app.exit(error));
  }
  return settings;
}

dsr::Tokens random_tokens(dsr::Size count, dsr::Size vocabulary) {
  dsr::RandomKey const key = dsr::random_key(1, dsr::RandomPurpose::user, 0, 0);
  std::vector<std::int32_t> tokens;
  for (dsr::Size i = 0; i < count; ++i) {
    auto const bits = dsr::random_bits(key, {static_cast<std::uint32_t>(i), 0, 0, 0});
    tokens.push_back(static_cast<std::int32_t>(bits[0] % static_cast<std::uint32_t>(vocabulary)));
  }
  return dsr::memory_tokens(std::move(tokens), vocabulary);
}

void choose(Settings const& settings, dsr::Stream& stream) {
  using dsr::AlgorithmChoice, dsr::Determinism;
  dsr::choose_algorithms(
      {.choice = settings.timed ? AlgorithmChoice::timed : AlgorithmChoice::heuristic,
       .deterministic = settings.deterministic ? Determinism::on : Determinism::off},
      stream);
  if (std::ifstream file{settings.algorithms}; !settings.algorithms.empty() && file) {
    dsr::load_algorithms({std::istreambuf_iterator<char>{file}, {}}, stream);
  }
}

void keep_choices(Settings const& settings, dsr::Stream& stream) {
  if (settings.algorithms.empty() || std::ifstream{settings.algorithms}) return;
  std::ofstream{settings.algorithms} << dsr::save_algorithms(stream);
}

/// What the driver gave out on the device: this process, its context and libraries included.
std::size_t used_mib() {
  std::size_t free_bytes = 0, total_bytes = 0;
  if (cudaMemGetInfo(&free_bytes, &total_bytes) != cudaSuccess) return 0;
  return (total_bytes - free_bytes) >> 20U;
}

/// The file of the cuDNN that this process has loaded: the twin's must be the same.
std::string cudnn_file() {
  std::ifstream maps{"/proc/self/maps"};
  for (std::string line; std::getline(maps, line);) {
    std::size_t const name = line.find("libcudnn.so");
    if (name != std::string::npos) return line.substr(line.find('/'));
  }
  return {};
}

void print_list(char const* name, std::vector<double> const& values) {
  std::cout << ", \"" << name << "\": [";
  for (std::size_t i = 0; i < values.size(); ++i) std::cout << (i == 0 ? "" : ", ") << values[i];
  std::cout << "]";
}

void run(int argc, char** argv, Settings const& settings) {
  benchmark::Job const& job = settings.job;
  dsr::Runtime runtime{argc, argv, {.device = {dsr::Device::Kind::cuda}}};
  dsr::Mesh const mesh{runtime, {.dp = runtime.size()}};
  dsr::GptConfig const config = job.config();
  dsr::Gpt model{config, mesh};
  dsr::Parameters parameters{model, mesh, {.dtype = dsr::DType::bf16}};
  dsr::AdamW optimizer{parameters, {.weight_decay = 0.1, .clip = 1.0}};
  dsr::Size const batch = job.micro_batch * job.accumulation * runtime.size();
  dsr::Size const sequences = batch * (settings.steps + settings.warm_up);
  dsr::Loader loader{random_tokens(sequences * job.sequence + 1, config.vocabulary),
                     mesh,
                     {.batch = batch, .micro_batch = job.micro_batch, .sequence = job.sequence}};
  dsr::Trainer trainer{
      runtime, mesh,
      model,   optimizer,
      loader,  {.rate = {.lr = 3e-4}, .pass = {.dtype = dsr::DType::bf16}, .check_every = 0}};
  choose(settings, trainer.compute());

  std::vector<double> step_ms, loss;
  dsr::StepMetrics last;
  for (dsr::Size i = 0; i < settings.warm_up + settings.steps; ++i) {
    last = trainer.step();
    loss.push_back(last.loss);
    if (i >= settings.warm_up) step_ms.push_back(last.step_ms);
  }
  keep_choices(settings, trainer.compute());
  if (runtime.rank() != 0) return;
  std::cout << R"({"program": "gpu_train", "model": ")" << job.model << R"(", "sequence": )"
            << job.sequence << R"(, "micro_batch": )" << job.micro_batch << R"(, "accumulation": )"
            << job.accumulation << R"(, "ranks": )" << runtime.size() << R"(, "tokens": )"
            << last.tokens << R"(, "cudnn": ")" << cudnn_file() << R"(", "memory_mib": )"
            << used_mib();
  print_list("step_ms", step_ms);
  print_list("loss", loss);
  std::cout << "}\n";
}

}  // namespace

int main(int argc, char** argv) {
  Settings const settings = parse(argc, argv);
  try {
    run(argc, argv, settings);
  } catch (dsr::Error const& error) {
    std::cerr << error.what() << '\n';
    return error.exit_code();
  }
  return 0;
}
