// SPDX-License-Identifier: Apache-2.0
#include "dsr/train/trainer.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <string>
#include <utility>

#include "dsr/comm/collectives.hpp"
#include "dsr/core/error.hpp"
#include "dsr/core/range.hpp"
#include "dsr/core/transfer.hpp"
#include "dsr/ops/elementwise.hpp"

namespace dsr {

namespace {

using Clock = std::chrono::steady_clock;

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

void validate(TrainerOptions const& options, Parameters const& parameters) {
  options.rate.validate();
  if (options.pass.dtype != parameters.dtype()) {
    throw InvalidArgument(
        problem("trainer", "activations in " + std::string(name_of(options.pass.dtype)),
                std::string(name_of(parameters.dtype())) + ", as the parameters"));
  }
  if (!(options.pass.dropout >= 0 && options.pass.dropout < 1)) {
    throw InvalidArgument(problem("model.dropout", std::to_string(options.pass.dropout), "[0, 1)"));
  }
  if (options.check_every < 0) {
    throw InvalidArgument(
        problem("trainer", "check_every = " + std::to_string(options.check_every), "at least 0"));
  }
}

}  // namespace

Trainer::Trainer(Runtime& runtime, Mesh const& mesh, Layer& model, AdamW& optimizer, Loader& loader,
                 TrainerOptions options)
    : runtime_(&runtime),
      mesh_(&mesh),
      model_(&model),
      optimizer_(&optimizer),
      loader_(&loader),
      options_((validate(options, optimizer.parameters()), options)),
      compute_(mesh.device()),
      exchange_(runtime.communication_stream()),
      reduction_(runtime.communication_stream()),
      reducer_(optimizer.parameters(), compute_, beside(reduction_), optimizer.options().zero),
      totals_(2 * size_of(DType::f64), mesh.device()),
      totals_on_host_(Buffer::pinned(totals_.bytes())) {
  LoaderOptions const& batch = loader.options();
  ArenaSizes const sizes =
      measure(model, mesh, batch.micro_batch, batch.sequence, options.pass).arenas;
  pass_.emplace(mesh, compute_, beside(exchange_), sizes, options.pass);
  start_algorithms();
}

void Trainer::evaluate_every(Size every, Loader& loader, Size batches,
                             std::function<void(EvaluationMetrics const&)> report) {
  evaluation_ = {every, batches, &loader, std::move(report)};
}

/// Forward and backward of all micro-batches of a step; returns the replica's number of tokens with
/// a target.
Size Trainer::accumulate(Loader& loader) {
  Size const count = loader.accumulation();
  Resumed const begun = std::exchange(resumed_, {});
  Size const first = begun.done.micro_batches;
  Size tokens = begun.done.tokens;
  Range part{part_, "zero"};
  fill(pass_->loss(), begun.loss, compute_);
  // A step leaves zeros behind, unless it has ended with an exception.
  if (!gradients_are_zero_ && first == 0) optimizer_->parameters().zero_gradients(compute_);
  gradients_are_zero_ = false;
  reducer_.begin();
  for (Size i = first; i < count; ++i) {
    part.next("micro-batch " + std::to_string(i));
    Batch const batch = loader.next(i);
    pass_->begin(batch, Mode::train, steps_done_);
    // Gradients are complete after the last micro-batch: only then may their reduction run beside
    // backward.
    if (i + 1 == count)
      pass_->on_gradient([this](Parameter& parameter) { reducer_.added(parameter); });
    run_micro_batch();
    tokens += batch.counted;
    if (between_micro_batches_ && i + 1 < count) between_micro_batches_({i + 1, tokens});
  }
  part.next("reduce");
  pass_->on_gradient({});
  reducer_.finish();
  return tokens;
}

void Trainer::run_micro_batch() {
  auto const work = [this] {
    Range way{part_, "forward"};
    model_->forward(*pass_, {}, {});
    way.next("backward");
    model_->backward(*pass_, {}, {});
  };
  if (options_.graphs == Graphs::where_possible && Replay::possible(*pass_))
    replay_.run(*pass_, work);
  else
    work();
}

Trainer::Totals Trainer::total_over_replicas(Size tokens) {
  Tensor const both{totals_.data(), {2}, DType::f64, mesh_->device()};
  copy(pass_->loss(), both.slice(0, 0, 1), compute_);
  fill(both.slice(0, 1, 2), static_cast<double>(tokens), compute_);
  all_reduce(both, Reduce::sum, (*mesh_)[Axis::dp], compute_);
  Tensor const found{totals_on_host_.data(), {2}, DType::f64, kCpu};
  transfer(both, found, compute_);
  compute_.synchronize();
  return {found.data<double>()[0], static_cast<Size>(found.data<double>()[1])};
}

StepMetrics Trainer::step() {
  auto const start = Clock::now();
  double const busy_before = communication_s(), exposed_before = exposed_s();
  double const lr = options_.rate.at(steps_done_);
  Totals const total = total_over_replicas(accumulate(*loader_));
  StepResult const result = [&] {
    Range const part{part_, "optimizer"};
    return optimizer_->step(total.tokens, lr, compute_, beside(reduction_));
  }();
  compute_.synchronize();
  gradients_are_zero_ = true;
  if (!algorithms_are_shared_) share_algorithms();
  loader_->advance();
  ++steps_done_;
  if (result.outcome == StepOutcome::skipped_not_finite && runtime_->rank() == 0) {
    runtime_->log().warn("step " + std::to_string(steps_done_) +
                         ": the gradient norm is not finite; no weight was "
                         "changed (" +
                         std::to_string(optimizer_->skipped()) + " steps skipped so far)");
  }
  if (options_.check_every > 0 && steps_done_ % options_.check_every == 0) require_equal_replicas();

  double const ms = ms_since(start);
  return {.step = steps_done_,
          .loss = total.loss / static_cast<double>(total.tokens),
          .grad_norm = result.gradient_norm,
          .lr = lr,
          .tokens = total.tokens,
          .tokens_per_s = static_cast<double>(total.tokens) / ms * 1e3,
          .step_ms = ms,
          .comm_ms = (communication_s() - busy_before) * 1e3,
          .exposed_comm_ms = (exposed_s() - exposed_before) * 1e3};
}

void Trainer::resume_step(Accumulated const& done, double loss) {
  Size const count = loader_->accumulation();
  if (done.micro_batches < 1 || done.micro_batches >= count) {
    throw InvalidArgument(problem("trainer: a step that goes on",
                                  std::to_string(done.micro_batches) + " micro-batches done",
                                  "1 to " + std::to_string(count - 1)));
  }
  resumed_ = {done, loss};
  gradients_are_zero_ = false;
}

double Trainer::evaluate(Loader& loader, Size batches) {
  loader.rewind();
  Size tokens = 0;
  fill(pass_->loss(), 0, compute_);
  // A loader goes round at its end: more batches than it has would count sequences twice.
  Size const most = std::max(Size{1}, loader.sequences() / loader.options().batch);
  for (Size i = 0; i < std::min(batches, most); ++i, loader.advance()) {
    for (Size j = 0; j < loader.accumulation(); ++j) {
      Batch const batch = loader.next(j);
      pass_->begin(batch, Mode::evaluate, 0);
      model_->forward(*pass_, {}, {});
      tokens += batch.counted;
    }
  }
  Totals const total = total_over_replicas(tokens);
  return total.loss / static_cast<double>(total.tokens);
}

void Trainer::run_to(Size steps) {
  stopping_ = false;
  while (steps_done_ < steps && !stopping_) {
    StepMetrics const metrics = step();
    if (on_step_) on_step_(metrics);
    bool const due =
        evaluation_.every > 0 && (steps_done_ % evaluation_.every == 0 || steps_done_ == steps);
    if (due) {
      double const loss = evaluate(*evaluation_.loader, evaluation_.batches);
      if (evaluation_.report) evaluation_.report({.step = steps_done_, .val_loss = loss});
    }
    if (between_steps_) between_steps_();
  }
}

void Trainer::visit_state(State& state) {
  optimizer_->visit_state(state);
  state.add(
      "data/cursor", [this] { return loader_->save(); },
      [this](std::string const& text) { loader_->load(text); });
  state.add(
      "train/step", [this] { return std::to_string(steps_done_); },
      [this](std::string const& text) {
        Size step = 0;
        auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), step);
        if (error != std::errc{} || end != text.data() + text.size() || step < 0)
          throw CorruptData(problem("train/step", text, "a number of steps"));
        steps_done_ = step;
      });
}

void Trainer::after_load() {
  resumed_ = {};
  optimizer_->after_load(compute_, beside(reduction_));
  compute_.synchronize();
}

double Trainer::communication_s() const {
  double sum = 0;
  if (mesh_->shape().ranks() == 1) return sum;  // who does not ask does not pay for measuring
  for (AxisSet axes : all_products()) sum += mesh_->over(axes).busy_s();
  return sum;
}

/// Collectives in compute's place, and compute's waiting for those beside it.
double Trainer::exposed_s() const {
  if (mesh_->shape().ranks() == 1) return 0;
  double sum = compute_.waited_s();
  for (AxisSet axes : all_products()) sum += mesh_->over(axes).inline_s();
  return sum;
}

void Trainer::require_equal_replicas() {
  std::uint64_t const hash = optimizer_->parameters().hash_values();
  // A double holds 53 bits exactly: compare the halves.
  for (unsigned shift : {0U, 32U}) {
    auto const half = static_cast<double>(hash >> shift & 0xFFFFFFFFU);
    Communicator& replicas = (*mesh_)[Axis::dp];
    if (all_reduce_value(half, Reduce::min, replicas) !=
        all_reduce_value(half, Reduce::max, replicas)) {
      throw Error(problem(
          "trainer", "replicas hold different weights after step " + std::to_string(steps_done_),
          "the same bits on every replica", "a checkpoint from before"));
    }
  }
}

}  // namespace dsr
