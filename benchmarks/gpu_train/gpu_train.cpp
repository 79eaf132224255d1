// SPDX-License-Identifier: Apache-2.0
/// Times optimizer steps of a GPT on one GPU, in bf16 with f32 masters, and prints one JSON object:
/// step_ms and loss (lists), tokens of a step, memory_mib in use on the device at the end and
/// predicted_mib of it. run.py runs it in turn with twin.py, which does the same in PyTorch;
/// track.py compares their losses from the same weights and batches, which --dump writes. --device
/// cpu is for its test: f32, slow.
///
///     build/cuda/benchmarks/gpu_train/gpu_train --model 1.3b --sequence 2048 --micro_batch 8
#include <cuda_runtime_api.h>

#include <cstdint>
#include <dsr/dsr.hpp>
#include <fstream>
#include <iostream>
#include <iterator>
#include <vector>

#include "benchmarks/gpu_train/data.hpp"
#include "benchmarks/gpu_train/job.hpp"

namespace {

struct Settings {
  benchmark::Job job;
  dsr::Size steps = 20, warm_up = 5, lr_warm_up = 0;
  double lr = 3e-4;
  bool timed = true, deterministic = false, graphs = true;
  std::string algorithms, dump, device = "cuda", data = "uniform", recompute = "none";
};

Settings parse(int argc, char** argv) {
  Settings settings;
  CLI::App app{"Steps of a GPT on one GPU"};
  benchmark::add_options(app, settings.job);
  app.add_option("--steps", settings.steps, "steps to time")->check(CLI::PositiveNumber);
  app.add_option("--warm_up", settings.warm_up, "steps before them")->check(CLI::NonNegativeNumber);
  app.add_flag("!--heuristic", settings.timed, "the library's choice of algorithms, not timed");
  app.add_flag("!--no_graphs", settings.graphs, "launch every kernel from the host");
  app.add_flag("--deterministic", settings.deterministic, "the same bits every time");
  app.add_option("--lr", settings.lr, "learning rate")->check(CLI::PositiveNumber);
  app.add_option("--lr_warm_up", settings.lr_warm_up, "steps until the learning rate is reached")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--data", settings.data, "uniform, or bigram, which can be learnt")
      ->check(CLI::IsMember({"uniform", "bigram"}));
  app.add_option("--device", settings.device, "cuda, or cpu in f32")
      ->check(CLI::IsMember({"cuda", "cpu"}));
  app.add_option("--recompute", settings.recompute, "none, selective or block")
      ->check(CLI::IsMember({"none", "selective", "block"}));
  app.add_option("--dump", settings.dump, "folder for initial weights and all batches");
  app.add_option("--algorithms", settings.algorithms,
                 "file of timed choices: read if it is there, else written");
  try {
    app.parse(argc, argv);
  } catch (CLI::ParseError const& error) {
    std::exit(app.exit(error));
  }
  return settings;
}

dsr::PassOptions pass_options(Settings const& settings) {
  using dsr::Recompute;
  return {.dtype = settings.device == "cuda" ? dsr::DType::bf16 : dsr::DType::f32,
          .recompute = settings.recompute == "block"       ? Recompute::block
                       : settings.recompute == "selective" ? Recompute::selective
                                                           : Recompute::none};
}

dsr::TrainerOptions trainer_options(Settings const& settings) {
  using dsr::AlgorithmChoice, dsr::Determinism;
  return {.rate = {.lr = settings.lr, .warmup = settings.lr_warm_up},
          .pass = pass_options(settings),
          .check_every = 0,
          .graphs = settings.graphs ? dsr::Graphs::where_possible : dsr::Graphs::off,
          .algorithms = {.choice = settings.timed ? AlgorithmChoice::timed
                                                  : AlgorithmChoice::heuristic,
                         .deterministic =
                             settings.deterministic ? Determinism::on : Determinism::off},
          .algorithms_file = settings.algorithms};
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

/// Tokens for all steps and, where asked for, a dump of them and of the weights as they are now.
dsr::Loader make_loader(Settings const& settings, dsr::Parameters const& parameters) {
  benchmark::Job const& job = settings.job;
  dsr::Mesh const& mesh = parameters.mesh();
  dsr::Size const batch = job.micro_batch * job.accumulation * mesh.size(dsr::Axis::dp),
                  steps = settings.steps + settings.warm_up,
                  tokens = batch * steps * job.sequence + 1, vocabulary = job.config().vocabulary;
  dsr::Loader loader{settings.data == "bigram" ? benchmark::bigram_tokens(tokens, vocabulary)
                                               : benchmark::uniform_tokens(tokens, vocabulary),
                     mesh,
                     {.batch = batch, .micro_batch = job.micro_batch, .sequence = job.sequence}};
  if (!settings.dump.empty()) {
    benchmark::dump(parameters, loader,
                    {settings.dump, job, steps, settings.lr, settings.lr_warm_up});
    loader.rewind();
  }
  return loader;
}

/// What the dry run says that memory_mib will be, and what Buffers held at most.
void print_memory(Settings const& settings, dsr::Mesh const& mesh) {
  dsr::DryRun const run = dsr::dry_run(settings.job.config(), mesh.shape(),
                                       {.micro_batch = settings.job.micro_batch,
                                        .pass = pass_options(settings),
                                        .device = mesh.device().kind});
  std::cout << R"(, "memory_mib": )" << used_mib() << R"(, "predicted_mib": )"
            << (dsr::device_bytes(run) >> 20U) << R"(, "buffers_mib": )"
            << (dsr::most_allocated_bytes(mesh.device()) >> 20U);
}

void print_list(char const* name, std::vector<double> const& values) {
  std::cout << ", \"" << name << "\": [";
  for (std::size_t i = 0; i < values.size(); ++i) std::cout << (i == 0 ? "" : ", ") << values[i];
  std::cout << "]";
}

void run(int argc, char** argv, Settings const& settings) {
  benchmark::Job const& job = settings.job;
  bool const cuda = settings.device == "cuda";
  dsr::DType const dtype = cuda ? dsr::DType::bf16 : dsr::DType::f32;
  dsr::Runtime runtime{argc, argv, {.device = dsr::parse_device(settings.device)}};
  dsr::Mesh const mesh{runtime, {.dp = runtime.size()}};
  dsr::Gpt model{job.config(), mesh};
  dsr::Parameters parameters{model, mesh, {.dtype = dtype}};
  dsr::AdamW optimizer{parameters, {.weight_decay = 0.1, .clip = 1.0}};
  dsr::Loader loader = make_loader(settings, parameters);
  dsr::Trainer trainer{runtime, mesh, model, optimizer, loader, trainer_options(settings)};

  std::vector<double> step_ms, loss;
  dsr::StepMetrics last;
  for (dsr::Size i = 0; i < settings.warm_up + settings.steps; ++i) {
    last = trainer.step();
    loss.push_back(last.loss);
    if (i >= settings.warm_up) step_ms.push_back(last.step_ms);
  }
  if (runtime.rank() != 0) return;
  std::cout << R"({"program": "gpu_train", "model": ")" << job.model << R"(", "sequence": )"
            << job.sequence << R"(, "micro_batch": )" << job.micro_batch << R"(, "accumulation": )"
            << job.accumulation << R"(, "ranks": )" << runtime.size() << R"(, "tokens": )"
            << last.tokens << R"(, "cudnn": ")" << cudnn_file() << R"(")";
  print_memory(settings, mesh);
  std::cout.precision(9);
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
