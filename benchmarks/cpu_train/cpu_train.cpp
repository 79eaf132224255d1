// SPDX-License-Identifier: Apache-2.0
/// Times optimizer steps of a small GPT on the CPU and prints one JSON object: step_ms (a list) and
/// tokens of a step. run.py runs it in turn with twin.py, which does the same in PyTorch.
///
///     OMP_NUM_THREADS=2 build/release/benchmarks/cpu_train/cpu_train [steps] [warm-up steps]
#include <cstdint>
#include <cstdlib>
#include <dsr/dsr.hpp>
#include <iostream>
#include <vector>

namespace {

constexpr dsr::Size kSequences = 12;

dsr::Tokens random_tokens(dsr::Size count, dsr::Size vocabulary) {
  dsr::RandomKey const key = dsr::random_key(1, dsr::RandomPurpose::user, 0, 0);
  std::vector<std::int32_t> tokens;
  for (dsr::Size i = 0; i < count; ++i) {
    auto const bits = dsr::random_bits(key, {static_cast<std::uint32_t>(i), 0, 0, 0});
    tokens.push_back(static_cast<std::int32_t>(bits[0] % static_cast<std::uint32_t>(vocabulary)));
  }
  return dsr::memory_tokens(std::move(tokens), vocabulary);
}

}  // namespace

int main(int argc, char** argv) {
  dsr::Runtime runtime{argc, argv};
  dsr::Size const steps = argc > 1 ? std::atoi(argv[1]) : 100,
                  warm_up = argc > 2 ? std::atoi(argv[2]) : 10;
  dsr::Mesh const mesh{runtime, {.dp = runtime.size()}};
  dsr::GptConfig const config{
      .layers = 4, .hidden = 128, .heads = 4, .vocabulary = 256, .sequence = 64};
  dsr::Gpt model{config, mesh};
  dsr::Parameters parameters{model, mesh};
  dsr::AdamW optimizer{parameters, {.weight_decay = 0.1, .clip = 1.0}};
  dsr::Loader loader{random_tokens(200'000, config.vocabulary),
                     mesh,
                     {.batch = kSequences,
                      .micro_batch = kSequences / runtime.size(),
                      .sequence = config.sequence}};
  dsr::Trainer trainer{runtime, mesh, model, optimizer, loader, {.rate = {.lr = 1e-3}}};

  dsr::StepMetrics last;
  for (dsr::Size i = 0; i < warm_up; ++i) last = trainer.step();
  std::vector<double> times;
  for (dsr::Size i = 0; i < steps; ++i) {
    last = trainer.step();
    times.push_back(last.step_ms);
  }
  if (runtime.rank() != 0) return 0;
  std::cout << R"({"program": "cpu_train", "threads": )" << runtime.threads() << R"(, "ranks": )"
            << runtime.size() << R"(, "tokens": )" << last.tokens << R"(, "loss": )" << last.loss
            << R"(, "step_ms": [)";
  for (std::size_t i = 0; i < times.size(); ++i) std::cout << (i == 0 ? "" : ", ") << times[i];
  std::cout << "]}\n";
}
