// SPDX-License-Identifier: Apache-2.0
/// A checkpoint fits any mesh: trains on one, saves, goes on there, then loads the same set on
/// another mesh and trains the same steps again. The losses coincide, up to the order of additions.
///
///     mpirun -np 4 --bind-to none build/release/examples/04_resume_anywhere runs/anywhere
///
/// On 4 ranks dp=2 row=2 saves and row=2 col=2 resumes. In practice the two are separate runs,
/// perhaps on other machines; a program of your own uses a Checkpointer in the same way.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <dsr/dsr.hpp>
#include <iostream>
#include <vector>

namespace {

constexpr dsr::Size kSteps = 20;          // before the set, and after it
constexpr double kMostDifference = 1e-3;  // of a loss, relative: f32 sums in another order

/// Text that can be learnt: most tokens follow from the one before.
dsr::Tokens make_tokens() {
  constexpr dsr::Size kTokens = 20'000, kVocabulary = 64;
  dsr::RandomKey const key = dsr::random_key(7, dsr::RandomPurpose::user, 0, 0);
  std::vector<std::int32_t> tokens{1};
  while (std::ssize(tokens) < kTokens) {
    auto const number = static_cast<std::uint32_t>(tokens.size());
    std::uint32_t const noise = dsr::random_bits(key, {number, 0, 0, 0})[0];
    auto const random = static_cast<std::int32_t>(noise / 8 % kVocabulary);
    tokens.push_back(noise % 8 == 0 ? random : (3 * tokens.back() + 1) % kVocabulary);
  }
  return dsr::memory_tokens(std::move(tokens), kVocabulary);
}

/// All that one training run has, on one mesh.
struct Training {
  Training(dsr::Runtime& runtime, dsr::MeshShape const& shape, dsr::Tokens const& tokens)
      : mesh(runtime, shape),
        model({.layers = 2, .hidden = 64, .heads = 4, .vocabulary = 64, .sequence = 32}, mesh),
        parameters(model, mesh),
        optimizer(parameters, {.clip = 1.0, .zero = dsr::ZeroStage::one}),
        loader(tokens, mesh, {.batch = 8, .micro_batch = 8 / shape.dp, .sequence = 32}),
        trainer(runtime, mesh, model, optimizer, loader, {.rate = {.lr = 3e-3, .warmup = 5}}) {
    trainer.visit_state(state);
  }

  std::vector<double> losses(dsr::Size steps) {
    std::vector<double> found;
    for (dsr::Size i = 0; i < steps; ++i) found.push_back(trainer.step().loss);
    return found;
  }

  dsr::Mesh mesh;
  dsr::Gpt model;
  dsr::Parameters parameters;
  dsr::AdamW optimizer;
  dsr::Loader loader;
  dsr::Trainer trainer;
  dsr::State state;
};

/// Half of the ranks, if they can be halved, and the rest.
struct Halves {
  int half, rest;
};
Halves halves(int ranks) { return ranks % 2 == 0 ? Halves{2, ranks / 2} : Halves{1, ranks}; }

}  // namespace

int main(int argc, char** argv) {
  dsr::Runtime runtime{argc, argv};
  if (argc != 2) {
    throw dsr::UsageError(
        dsr::problem("04_resume_anywhere", "no folder", "04_resume_anywhere FOLDER"));
  }
  bool const first = runtime.rank() == 0;
  dsr::Tokens const tokens = make_tokens();
  auto const [half, rest] = halves(runtime.size());
  dsr::CheckpointOptions const options{.warm = {.directory = argv[1]}};

  dsr::MeshShape const shape{.dp = half, .row = rest};
  std::vector<double> there;
  {
    Training one{runtime, shape, tokens};
    dsr::Checkpointer checkpoints{runtime, one.mesh, dsr::system_files(), options};
    one.trainer.run_to(kSteps);
    checkpoints.save(one.state, one.trainer.steps_done());
    there = one.losses(kSteps);  // training goes on while the set is written
    auto const report = checkpoints.wait();
    if (!report || !report->acknowledged)
      throw dsr::IoError(report ? report->reason : "nothing was saved");
    if (first) {
      std::cout << "saved " << to_string(report->name) << " on " << to_string(shape) << '\n';
    }
  }

  Training other{runtime, {.row = half, .col = rest}, tokens};
  dsr::Checkpointer checkpoints{runtime, other.mesh, dsr::system_files(), options};
  auto const resumed = checkpoints.load(other.state);
  other.trainer.after_load();
  if (first) std::cout << to_string(*resumed) << '\n';
  std::vector<double> const here = other.losses(kSteps);

  double most = 0;
  for (std::size_t i = 0; i < here.size(); ++i) {
    most = std::max(most, std::abs(here[i] - there[i]) / there[i]);
    if (!first || i % 5 != 4) continue;
    std::cout << "step " << kSteps + static_cast<dsr::Size>(i) + 1 << "  loss " << there[i]
              << " on " << to_string(shape) << ", " << here[i] << " on "
              << to_string(other.mesh.shape()) << '\n';
  }
  if (first) std::cout << "largest difference " << most << " of the loss\n";
  if (most > kMostDifference)
    throw dsr::Error(dsr::problem("04_resume_anywhere", "losses differ", "the same ones"));
}
