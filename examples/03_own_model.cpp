// SPDX-License-Identifier: Apache-2.0
/// A model that uses no layer of dsr: process groups, flat parameters, gradient accumulation, the
/// optimizer and checkpoints around arithmetic of your own. Here: y = tanh(x·A)·b, fitted to a
/// known function by data parallelism. With a folder it saves its state there, and the same command
/// again goes on from it, on any number of ranks.
///
///     mpirun -np 4 --bind-to none build/release/examples/03_own_model [FOLDER]
#include <cmath>
#include <cstdint>
#include <dsr/dsr.hpp>
#include <iostream>
#include <optional>
#include <vector>

namespace {

constexpr dsr::Size kInputs = 3, kHidden = 16;
constexpr dsr::Size kBatch = 64;        // samples in an optimizer step, over the whole job
constexpr dsr::Size kAccumulation = 2;  // micro-batches in a step
constexpr dsr::Size kSteps = 400, kSaveEvery = 100;

/// Two parameters, the same on every rank; their gradients are partial over dp.
class OwnModel : public dsr::Visitable {
 public:
  explicit OwnModel(dsr::Mesh const& mesh)
      : a_(dsr::Shard{{kInputs, kHidden}, {}, mesh.shape()}, {.init = dsr::normal_init(0.5),
                                                              .partial_over = dsr::Axis::dp,
                                                              .decay = dsr::Decay::yes}),
        b_(dsr::Shard{{kHidden}, {}, mesh.shape()},
           {.init = dsr::normal_init(0.3), .partial_over = dsr::Axis::dp}) {}

  void visit(dsr::Visitor& visitor) override {
    visitor.parameter("a", a_);
    visitor.parameter("b", b_);
  }

  /// Adds the gradient of the squared error of one sample into the gradients; returns the error.
  double learn(float const* x, float target) {
    float const* a = a_.value().data<float>();
    float const* b = b_.value().data<float>();
    std::vector<float> hidden(kHidden);
    float y = 0;
    for (dsr::Size j = 0; j < kHidden; ++j) {
      float sum = 0;
      for (dsr::Size i = 0; i < kInputs; ++i) sum += x[i] * a[i * kHidden + j];
      hidden[static_cast<std::size_t>(j)] = std::tanh(sum);
      y += hidden[static_cast<std::size_t>(j)] * b[j];
    }
    float* da = a_.gradient().data<float>();
    float* db = b_.gradient().data<float>();
    float const dy = 2 * (y - target);
    for (dsr::Size j = 0; j < kHidden; ++j) {
      float const h = hidden[static_cast<std::size_t>(j)];
      db[j] += dy * h;
      for (dsr::Size i = 0; i < kInputs; ++i) da[i * kHidden + j] += dy * b[j] * (1 - h * h) * x[i];
    }
    return static_cast<double>((y - target) * (y - target));
  }

 private:
  dsr::Parameter a_, b_;
};

/// Sample `number` of the data set: counter-based, so any rank can make any sample.
float sample(std::uint32_t number, float* x) {
  dsr::RandomKey const key = dsr::random_key(1, dsr::RandomPurpose::user, 0, 0);
  auto const bits = dsr::random_bits(key, {number, 0, 0, 0});
  for (std::size_t i = 0; i < kInputs; ++i) x[i] = 2 * dsr::uniform(bits[i]) - 1;
  return std::sin(2 * x[0]) - std::sin(x[1] + x[2]);
}

}  // namespace

int main(int argc, char** argv) {
  dsr::Runtime runtime{argc, argv};
  dsr::Mesh const mesh{runtime, {.dp = runtime.size()}};
  OwnModel model{mesh};
  dsr::Parameters parameters{model, mesh};
  dsr::AdamW optimizer{parameters, {.clip = 1.0, .zero = dsr::ZeroStage::one}};

  dsr::Stream compute{runtime.device()};
  dsr::Stream exchange = runtime.communication_stream();
  dsr::GradientReducer reducer{parameters, compute, exchange, optimizer.options().zero};
  dsr::Size const micro_batch = kBatch / (kAccumulation * runtime.size());
  if (micro_batch * kAccumulation * runtime.size() != kBatch) {
    throw dsr::InvalidArgument(
        dsr::problem("03_own_model", std::to_string(runtime.size()) + " ranks",
                     "a number that divides " + std::to_string(kBatch / kAccumulation)));
  }

  dsr::Size step = 0;
  dsr::State state;  // what a run goes on with: weights, moments, and whatever else you add
  optimizer.visit_state(state);
  state.add(
      "own_model/step", [&] { return std::to_string(step); },
      [&](std::string const& text) { step = std::stoll(text); });
  std::optional<dsr::Checkpointer> checkpoints;
  if (argc > 1) {
    checkpoints.emplace(runtime, mesh, dsr::system_files(),
                        dsr::CheckpointOptions{.warm = {.directory = argv[1]}});
    if (auto const resumed = checkpoints->load(state)) {
      optimizer.after_load(compute, exchange);
      if (runtime.rank() == 0) std::cout << to_string(*resumed) << '\n';
    }
  }

  while (step < kSteps) {
    parameters.zero_gradients(compute);
    double error = 0;
    for (dsr::Size micro = 0; micro < kAccumulation; ++micro) {
      // Which samples are ours: the same set in every step for any number of ranks.
      dsr::Size const first =
          step * kBatch + (micro * runtime.size() + runtime.rank()) * micro_batch;
      for (dsr::Size i = 0; i < micro_batch; ++i) {
        float x[kInputs];
        float const target = sample(static_cast<std::uint32_t>(first + i), x);
        error += model.learn(x, target);
      }
    }
    reducer.begin();
    reducer.finish();  // sums gradients over dp
    optimizer.step(kBatch, 1e-2, compute, exchange);
    error = dsr::all_reduce_value(error, dsr::Reduce::sum, mesh[dsr::Axis::dp]) / kBatch;
    if (runtime.rank() == 0 && step % 50 == 0)
      std::cout << "step " << step << "  error " << error << '\n';
    ++step;
    if (!checkpoints || step % kSaveEvery != 0) continue;
    checkpoints->save(state, step);  // copies the state, which a thread writes
    auto const report = checkpoints->wait();  // with larger steps: finished(), some steps later
    if (runtime.rank() == 0 && !report->acknowledged) std::cerr << report->reason << '\n';
  }
}
