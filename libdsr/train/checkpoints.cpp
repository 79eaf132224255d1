// SPDX-License-Identifier: Apache-2.0
#include "dsr/train/checkpoints.hpp"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstdio>

#include "dsr/comm/agree.hpp"
#include "dsr/comm/collectives.hpp"
#include "dsr/observe/format.hpp"

namespace dsr {

/// One number a step tells all ranks what any of them has seen: a signal, a lost lock, or the time.
TrainingCheckpoints::Wish TrainingCheckpoints::wish() {
  Wish mine = Wish::nothing;
  double const waited =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - last_).count();
  double const every_s = settings_.warm.every_s;
  if (runtime_->rank() == 0 && has(Tier::warm) && every_s > 0 && waited >= every_s)
    mine = Wish::save;
  if (signals_ && signals_->caught() != 0) mine = Wish::stop;
  if (lock_ && lock_->lost()) mine = Wish::give_up;
  return static_cast<Wish>(
      all_reduce_value(static_cast<double>(mine), Reduce::max, runtime_->world()));
}

/// By steps on every rank alike.
std::vector<Tier> TrainingCheckpoints::due(Wish wish) const {
  auto const at = [step = trainer_->steps_done()](Size every) {
    return every > 0 && step % every == 0;
  };
  std::vector<Tier> tiers;
  if (has(Tier::hot) && at(settings_.hot.every)) tiers.push_back(Tier::hot);
  if (has(Tier::warm) && (at(settings_.warm.every) || wish == Wish::save))
    tiers.push_back(Tier::warm);
  if (has(Tier::cold) && at(settings_.cold.every)) tiers.push_back(Tier::cold);
  return tiers;
}

void TrainingCheckpoints::after_step() {
  while (auto const report = checkpointer_.finished()) tell(*report);
  Wish const wish = this->wish();
  if (wish == Wish::give_up) {
    agree(runtime_->world(), [&] {
      if (lock_) lock_->check();
    });
  }
  if (wish == Wish::stop) return stop();
  fragments_.after_step();
  if (std::vector<Tier> const tiers = due(wish); !tiers.empty()) save(tiers);
}

void TrainingCheckpoints::save(std::vector<Tier> const& tiers) {
  bool const warm = std::ranges::find(tiers, Tier::warm) != tiers.end();
  Size const step = trainer_->steps_done();
  if (checkpointer_.save(state_, step, tiers)) {
    // One that time made due and that had to be left out is due again after the next step.
    if (warm) last_ = std::chrono::steady_clock::now();
    return;
  }
  ++skipped_;
  for (Tier const tier : tiers) {
    SaveReport skipped;
    skipped.name = {step, generation()};
    skipped.tier = tier;
    write(skipped, "skipped");
  }
  // The metrics have each of them; a disk that is too slow must not fill the screen.
  if (runtime_->rank() == 0 && std::has_single_bit(static_cast<std::uint64_t>(skipped_))) {
    runtime_->log().warn("step " + std::to_string(step) +
                         " is not saved: an earlier save is still under way (" +
                         std::to_string(skipped_) + " left out so far)");
  }
}

void TrainingCheckpoints::stop() {
  if (runtime_->rank() == 0)
    runtime_->log().info("a signal stops the run after step " +
                         std::to_string(trainer_->steps_done()));
  stopped_ = true;
  trainer_->stop();
}

void TrainingCheckpoints::tell(SaveReport const& report) {
  // Only here: a hot tier that was given up takes a save and has no report of it.
  told_step_[static_cast<std::size_t>(report.tier)] = report.name.step;
  // Nobody resumes from weights alone.
  bool const whole = report.tier != Tier::cold || options_.cold.content == ColdContent::all;
  if (report.acknowledged && whole) {
    acknowledged_step_ = std::max(acknowledged_step_, report.name.step);
    fragments_.acknowledged(report.name.step, report.content_hash);
  }
  write(report, report.acknowledged ? "acknowledged" : "failed");
  if (runtime_->rank() != 0) return;
  std::string const set = std::string{name_of(report.tier)} + "/" + to_string(report.name);
  if (!report.acknowledged) {
    runtime_->log().warn("checkpoint " + set + " failed: " + report.reason);
    return;
  }
  if (!report.reason.empty()) runtime_->log().warn(report.reason);
  char times[64];
  std::snprintf(times, sizeof times, ", stood still %.1f ms, written in %.1f s", report.stall_ms,
                report.write_s);
  runtime_->log().info("saved " + set + ": " + format_bytes(report.bytes) + times);
}

void TrainingCheckpoints::write(SaveReport const& report, char const* state) {
  if (metrics_ == nullptr) return;
  bool const written = report.acknowledged && report.write_s > 0;
  metrics_->write(CheckpointMetrics{
      .step = report.name.step,
      .tier = name_of(report.tier),
      .state = state,
      .stall_ms = report.stall_ms,
      .bytes = report.bytes,
      .write_gb_s = written ? static_cast<double>(report.bytes) / 1e9 / report.write_s : 0,
      .age_steps = age_steps()});
}

void TrainingCheckpoints::wait() {
  while (auto const report = checkpointer_.wait()) tell(*report);
}

/// Whether the tier has no set of the last step, nor one that failed, whose name is taken. One that
/// an earlier start has left there does as well, if no step has been done since. Collective.
bool TrainingCheckpoints::is_missing(Tier tier) {
  Size const step = trainer_->steps_done();
  if (!has(tier) || told_step_[static_cast<std::size_t>(tier)] == step) return false;
  if (step != begun_step_ || tier == Tier::hot) return true;
  bool there = false;
  agree(runtime_->world(), [&] {
    if (runtime_->rank() != 0) return;
    std::string const& directory =
        tier == Tier::warm ? options_.warm.directory : options_.cold.directory;
    for (FoundSet const& set : sets_of_tier(*files_, directory))
      there = there || (set.committed && set.name.step == step);
  });
  return all_reduce_value(there ? 1 : 0, Reduce::max, runtime_->world()) == 0;
}

void TrainingCheckpoints::finish() {
  wait();
  std::vector<Tier> tiers;
  if (settings_.at_exit && is_missing(Tier::warm)) tiers.push_back(Tier::warm);
  // A run without a warm tier keeps what it can.
  if (settings_.at_exit && !has(Tier::warm) && is_missing(Tier::hot)) tiers.push_back(Tier::hot);
  if (!stopped_ && is_missing(Tier::cold)) tiers.push_back(Tier::cold);
  if (tiers.empty()) return;
  save(tiers);
  wait();
}

}  // namespace dsr
