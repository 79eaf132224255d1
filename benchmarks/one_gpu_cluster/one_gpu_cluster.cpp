// SPDX-License-Identifier: Apache-2.0
/// Times steps of a small GPT on a mesh of ranks that may share a GPU, and prints one JSON object:
/// medians over the steps of the ranks' means. run.py launches it on several meshes.
///
///     mpirun -np 8 bash tests/support/gpu_rank.sh
///         build/cuda/benchmarks/one_gpu_cluster/one_gpu_cluster --dp 4 --row 2 --overlap off
///
/// total_ms and exposed_ms are judged by the intervals of the trace (see Trace), comm_ms and
/// exposed_comm_ms are the trainer's metrics, which add up groups that run at once and count the
/// control messages of the host.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <dsr/dsr.hpp>
#include <fstream>
#include <iostream>
#include <optional>
#include <vector>

#include "benchmarks/one_gpu_cluster/trace.hpp"

namespace {

using dsr::Size;

struct Settings {
  dsr::MeshShape shape;
  dsr::GptConfig model{.layers = 4, .hidden = 512, .heads = 8, .vocabulary = 8192, .sequence = 512};
  Size batch = 64, steps = 8, warm_up = 3;
  std::string overlap = "on", device = "cuda", trace;
};

Settings parse(int argc, char** argv) {
  Settings s;
  CLI::App app{"Steps of a GPT on a mesh of ranks"};
  app.add_option("--dp", s.shape.dp, "ranks");
  app.add_option("--row", s.shape.row, "ranks");
  app.add_option("--col", s.shape.col, "ranks");
  app.add_option("--layers", s.model.layers, "blocks");
  app.add_option("--hidden", s.model.hidden, "features");
  app.add_option("--heads", s.model.heads, "attention heads");
  app.add_option("--sequence", s.model.sequence, "tokens of a sequence");
  app.add_option("--batch", s.batch, "sequences of a step, whole job");
  app.add_option("--steps", s.steps, "steps to time")->check(CLI::PositiveNumber);
  app.add_option("--warm_up", s.warm_up, "steps before them")->check(CLI::NonNegativeNumber);
  app.add_option("--overlap", s.overlap, "on or off")->check(CLI::IsMember({"on", "off"}));
  app.add_option("--device", s.device, "cuda or cpu")->check(CLI::IsMember({"cuda", "cpu"}));
  app.add_option("--trace", s.trace, "file for rank 0's last step");
  try {
    app.parse(argc, argv);
  } catch (CLI::ParseError const& error) {
    std::exit(app.exit(error));
  }
  return s;
}

dsr::Tokens random_tokens(Size count, Size vocabulary) {
  dsr::RandomKey const key = dsr::random_key(1, dsr::RandomPurpose::user, 0, 0);
  std::vector<std::int32_t> tokens;
  for (Size i = 0; i < count; ++i) {
    auto const bits = dsr::random_bits(key, {static_cast<std::uint32_t>(i), 0, 0, 0});
    tokens.push_back(static_cast<std::int32_t>(bits[0] % static_cast<std::uint32_t>(vocabulary)));
  }
  return dsr::memory_tokens(std::move(tokens), vocabulary);
}

/// Medians over the steps of a number's mean over the ranks.
class Numbers {
 public:
  explicit Numbers(dsr::Communicator& world) : world_(&world) {}
  void add(double mine) {
    values_.push_back(all_reduce_value(mine, dsr::Reduce::sum, *world_) / world_->size());
  }
  double median() {
    auto const middle = values_.begin() + static_cast<std::ptrdiff_t>(values_.size() / 2);
    std::nth_element(values_.begin(), middle, values_.end());
    return *middle;
  }

 private:
  dsr::Communicator* world_;
  std::vector<double> values_;
};

struct Report {
  explicit Report(dsr::Communicator& world)
      : step_ms(world),
        total_ms(world),
        exposed_ms(world),
        comm_ms(world),
        exposed_comm_ms(world) {}
  Numbers step_ms, total_ms, exposed_ms, comm_ms, exposed_comm_ms;
  double loss = 0;
};

void measure(dsr::Trainer& trainer, dsr::Mesh const& mesh, Settings const& s, Report& report) {
  std::optional<benchmark::Trace> trace;
  for (Size i = 0; i < s.warm_up; ++i) trainer.step();
  if (mesh.device().kind == dsr::Device::Kind::cuda && mesh.shape().ranks() > 1)
    trace.emplace(mesh, trainer.compute());
  for (Size i = 0; i < s.steps; ++i) {
    if (trace) trace->begin();
    dsr::StepMetrics const m = trainer.step();
    benchmark::Exposure const found =
        trace ? trace->end() : benchmark::Exposure{m.comm_ms, m.exposed_comm_ms};
    report.step_ms.add(m.step_ms);
    report.total_ms.add(found.total_ms);
    report.exposed_ms.add(found.exposed_ms);
    report.comm_ms.add(m.comm_ms);
    report.exposed_comm_ms.add(m.exposed_comm_ms);
    report.loss = m.loss;
  }
  if (trace && !s.trace.empty() && mesh.rank() == 0) {
    std::ofstream file{s.trace};
    trace->write(file);
  }
}

void print(Settings const& s, int ranks, Report& report) {
  std::cout << R"({"program": "one_gpu_cluster", "device": ")" << s.device << R"(", "mesh": ")"
            << to_string(s.shape) << R"(", "ranks": )" << ranks << R"(, "overlap": ")" << s.overlap
            << R"(", "layers": )" << s.model.layers << R"(, "hidden": )" << s.model.hidden
            << R"(, "tokens": )" << s.batch * s.model.sequence << R"(, "step_ms": )"
            << report.step_ms.median() << R"(, "total_ms": )" << report.total_ms.median()
            << R"(, "exposed_ms": )" << report.exposed_ms.median() << R"(, "comm_ms": )"
            << report.comm_ms.median() << R"(, "exposed_comm_ms": )"
            << report.exposed_comm_ms.median() << R"(, "loss": )" << report.loss << "}\n";
}

void run(int argc, char** argv, Settings const& s) {
  dsr::Runtime runtime{argc, argv, {.device = dsr::parse_device(s.device), .timeout_s = 120}};
  dsr::DType const dtype = s.device == "cuda" ? dsr::DType::bf16 : dsr::DType::f32;
  dsr::Mesh const mesh{runtime, s.shape};
  dsr::Gpt model{s.model, mesh};
  dsr::Parameters parameters{model, mesh, {.dtype = dtype}};
  dsr::AdamW optimizer{parameters, {.clip = 1.0, .zero = dsr::ZeroStage::one}};
  Size const sequences = s.batch * (s.steps + s.warm_up);
  dsr::Loader loader{
      random_tokens(sequences * s.model.sequence + 1, s.model.vocabulary),
      mesh,
      {.batch = s.batch, .micro_batch = s.batch / s.shape.dp, .sequence = s.model.sequence}};
  dsr::Trainer trainer{runtime,
                       mesh,
                       model,
                       optimizer,
                       loader,
                       {.pass = {.dtype = dtype},
                        .check_every = 0,
                        .overlap = s.overlap == "on" ? dsr::Overlap::on : dsr::Overlap::off}};
  Report report{runtime.world()};
  measure(trainer, mesh, s, report);
  if (runtime.rank() == 0) print(s, runtime.size(), report);
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
