// SPDX-License-Identifier: Apache-2.0
#include "dsr/train/fragments.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "dsr/comm/collectives.hpp"
#include "dsr/core/error.hpp"
#include "dsr/core/transfer.hpp"
#include "libdsr/train/fragment_text.hpp"

namespace dsr {
namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

constexpr Size kSample_bytes = Size{256} << 20;

Size gradient_bytes(Parameters const& parameters) {
  Size bytes = 0;
  for (FlatBuffer const& flat : parameters.flats()) bytes += flat.gradients.bytes();
  return bytes;
}

}  // namespace

GradientFragments::GradientFragments(Runtime& runtime, Mesh const& mesh, Trainer& trainer,
                                     FileSystem& files, FragmentOptions options)
    : runtime_(&runtime),
      mesh_(&mesh),
      trainer_(&trainer),
      options_(std::move(options)),
      bytes_(gradient_bytes(trainer.parameters())),
      settings_(hash_of_settings(trainer, options_.settings)),
      file_(files, options_.directory, mesh.rank(), bytes_) {
  if (!(options_.mttf_s > 0)) {
    throw InvalidArgument(
        problem("checkpoint.mttf_s", std::to_string(options_.mttf_s), "a number > 0"));
  }
  // Without a second micro-batch there is no time between two of them.
  if (options_.policy == FragmentPolicy::off || trainer.loader().accumulation() == 1) return;
  if (options_.directory.empty())
    throw InvalidArgument(problem("gradient fragments", "no directory", "a directory"));
  stage_ = options_.policy == FragmentPolicy::always ? Stage::on : Stage::sampling;
  costs_.mttf_s = options_.mttf_s;
  copies_.emplace(mesh.device());
  replica_ = runtime.world().split(mesh.place()[Axis::dp], mesh.rank(), "gradient fragments");
}

GradientFragments::~GradientFragments() {
  if (writer_.joinable()) writer_.join();
}

void GradientFragments::acknowledged(Size step, std::string content_hash) {
  if (step < base_step_) return;
  base_step_ = step;
  base_ = std::move(content_hash);
}

FragmentHeader GradientFragments::header_of(Accumulated const& done) const {
  return {.run_id = options_.run_id,
          .generation = options_.generation,
          .base = base_,
          .step = base_step_,
          .mesh = to_string(mesh_->shape()),
          .rank = mesh_->rank(),
          .settings = settings_,
          .micro_batches = done.micro_batches,
          .of = trainer_->loader().accumulation(),
          .tokens = done.tokens,
          .loss = 0,
          .cursor = trainer_->loader().save(),
          .bytes = bytes_,
          .payload = {}};
}

void GradientFragments::allocate_memory() {
  if (memory_.data() == nullptr)
    memory_ = Buffer::pinned(round_up(bytes_, kAlignment_bytes) + size_of(DType::f64));
}

/// The place in memory of what has the type and shape of `like`.
Tensor GradientFragments::on_host(Tensor const& like, Size offset) {
  return {static_cast<std::byte*>(memory_.data()) + offset, like.shape(), like.dtype(), kCpu};
}

/// On a queue of its own behind compute's work; compute waits, for it adds to what is copied.
Event GradientFragments::copy_out() {
  Stream& compute = trainer_->compute();
  copies_->wait(compute.record());
  Size at = 0;
  for (FlatBuffer const& flat : trainer_->parameters().flats()) {
    transfer(flat.gradients, on_host(flat.gradients, at), *copies_);
    at += flat.gradients.bytes();
  }
  Tensor const loss = trainer_->pass().loss();
  transfer(loss, on_host(loss, round_up(bytes_, kAlignment_bytes)), *copies_);
  Event const copied = copies_->record();
  compute.wait(copied);
  return copied;
}

/// Times the copy of a part, so that a run that will write none needs no memory for all of it.
void GradientFragments::sample_copy() {
  auto const flats = trainer_->parameters().flats();
  Tensor const whole = std::ranges::max_element(flats, {}, [](FlatBuffer const& flat) {
                         return flat.gradients.elements();
                       })->gradients;
  Size const elements = std::min(whole.elements(), kSample_bytes / size_of(whole.dtype()));
  Tensor const part = whole.slice(0, 0, elements);
  Buffer const memory = Buffer::pinned(part.bytes());
  Tensor const copy{memory.data(), part.shape(), part.dtype(), kCpu};
  trainer_->compute().synchronize();
  for (int i = 0; i < 2; ++i) {  // the first touches the memory
    auto const start = Clock::now();
    transfer(part, copy, *copies_);
    copies_->synchronize();
    costs_.copy_s =
        seconds_since(start) * static_cast<double>(bytes_) / static_cast<double>(part.bytes());
  }
}

void GradientFragments::offer(Accumulated const& done) {
  if (stage_ == Stage::off || done.micro_batches % every_ != 0) return;
  if (stage_ == Stage::sampling) {
    // Not in the first step, in which much happens for the first time.
    if (step_began_ && costs_.copy_s == 0) sample_copy();
    return;
  }
  collect();
  // One fragment is enough to measure.
  if (stage_ == Stage::measuring && written_ > 0) return;
  bool const ready = !busy_ && failure_.empty() && base_step_ == trainer_->steps_done();
  // The slots of a replica's ranks must hold the same micro-batches.
  if (all_reduce_value(ready ? 1 : 0, Reduce::min, replica_) == 0) return;
  ++written_;
  try {
    allocate_memory();
  } catch (Error const& error) {
    fail(error.what());
    return;
  }
  if (written_ == 1) trainer_->compute().synchronize();  // the copy is timed alone
  auto const start = Clock::now();
  Event const copied = copy_out();
  if (written_ == 1) {
    copied.synchronize();
    costs_.copy_s = seconds_since(start);
  }
  if (writer_.joinable()) writer_.join();
  busy_ = true;
  writer_ = std::thread{[this, header = header_of(done), copied] {
    write(header, copied);
    busy_ = false;
  }};
}

/// On the thread that writes.
void GradientFragments::write(FragmentHeader header, Event const& copied) {
  try {
    copied.synchronize();
    auto const start = Clock::now();
    auto const* const memory = static_cast<std::byte const*>(memory_.data());
    header.loss = *reinterpret_cast<double const*>(memory + round_up(bytes_, kAlignment_bytes));
    file_.write(std::move(header), {memory, static_cast<std::size_t>(bytes_)});
    costs_.write_s = std::max(costs_.write_s, seconds_since(start));
  } catch (std::exception const& error) {
    failure_ = error.what();
  }
}

/// What the thread left behind, if it has ended.
void GradientFragments::collect() {
  if (!busy_) wait();
}

void GradientFragments::wait() {
  if (!writer_.joinable()) return;
  writer_.join();
  if (!failure_.empty()) fail(failure_);
}

void GradientFragments::fail(std::string const& reason) {
  failure_ = reason;
  runtime_->log().warn("rank " + std::to_string(mesh_->rank()) +
                       ": no more gradient fragments of its replica: " + reason);
}

void GradientFragments::time_step() {
  auto const now = Clock::now();
  if (step_began_) {
    double const took = std::chrono::duration<double>(now - *step_began_).count();
    // The shortest: others have evaluations and saves in them.
    costs_.step_s = costs_.step_s > 0 ? std::min(costs_.step_s, took) : took;
  }
  step_began_ = now;
}

void GradientFragments::after_step() {
  if (stage_ == Stage::off || stage_ == Stage::on) return;
  time_step();
  collect();
  // Samples are there in the same step on all ranks; fragments need not be.
  bool measured = costs_.step_s > 0 && costs_.copy_s > 0;
  if (stage_ == Stage::measuring) {
    bool const mine = !busy_ && (written_ > 0 || !failure_.empty());
    measured = all_reduce_value(mine ? 1 : 0, Reduce::min, runtime_->world()) > 0;
  }
  if (measured) decide_now();
}

void GradientFragments::decide_now() {
  auto const slowest = [&](double mine) {
    return all_reduce_value(mine, Reduce::max, runtime_->world());
  };
  costs_.copy_s = slowest(costs_.copy_s);
  costs_.write_s = slowest(costs_.write_s);
  costs_.step_s = slowest(costs_.step_s);
  bool const failed = slowest(failure_.empty() ? 0 : 1) > 0;
  FragmentDecision const decision = decide(costs_);
  if (stage_ == Stage::sampling && decision.worth_it) {
    stage_ = Stage::measuring;
    return;
  }
  Size const count = trainer_->loader().accumulation();
  double const each_s = costs_.step_s / static_cast<double>(count);
  every_ = decision.worth_it
               ? std::max(Size{1}, static_cast<Size>(std::ceil(decision.interval_s / each_s)))
               : count;
  // Behind the last micro-batch there is none.
  bool const on = every_ < count && !failed;
  stage_ = on ? Stage::on : Stage::off;
  if (!on) memory_ = {};
  if (runtime_->rank() != 0) return;
  std::string const outcome =
      on ? "every " + std::to_string(every_) + " micro-batches: " : std::string{"off: "};
  runtime_->log().info("gradient fragments: " +
                       (failed ? "off, writing one failed" : outcome + to_string(costs_)));
}

}  // namespace dsr
