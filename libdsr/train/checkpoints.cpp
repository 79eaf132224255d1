// SPDX-License-Identifier: Apache-2.0
#include "dsr/train/checkpoints.hpp"

#include "dsr/comm/agree.hpp"
#include "dsr/comm/collectives.hpp"
#include "dsr/core/error.hpp"
#include "dsr/observe/format.hpp"

namespace dsr {
namespace {

/// A path is relative to the run's folder unless it begins with '/'.
std::string tier_directory(TrainSettings const& settings) {
  std::string const& path = settings.checkpoint.warm.path;
  return path.starts_with('/') ? path : settings.run.dir + "/" + path;
}

}  // namespace

TrainingCheckpoints::TrainingCheckpoints(Runtime& runtime, Mesh const& mesh, Trainer& trainer,
                                         TrainSettings const& settings, FileSystem& files)
    : runtime_(&runtime),
      trainer_(&trainer),
      settings_(settings.checkpoint),
      checkpointer_(runtime, mesh, files,
                    {.directory = tier_directory(settings),
                     .run_id = {},
                     .keep = settings.checkpoint.warm.keep}) {
  trainer.visit_state(state_);
}

std::optional<ResumedSet> TrainingCheckpoints::resume() {
  if (settings_.resume == "never") return std::nullopt;
  std::optional<ResumedSet> const resumed = checkpointer_.load(state_);
  if (resumed) {
    trainer_->after_load();
    saved_step_ = resumed->name.step;
    runtime_->log().info(to_string(*resumed));
  } else if (settings_.resume == "required") {
    agree(runtime_->world(), [&] {
      throw CorruptData(problem("checkpoint.resume", "no committed set to resume from",
                                "one in checkpoint.warm.path", "checkpoint.resume = auto"));
    });
  }
  return resumed;
}

void TrainingCheckpoints::begin(CommandLine const& line) {
  if (!line.fresh) {
    resume();
    return;
  }
  std::optional<SetName> const newest = checkpointer_.newest();
  if (!newest) return;
  if (line.force) return checkpointer_.move_away();
  agree(runtime_->world(), [&] {
    throw InvalidArgument(problem("--fresh", "there are saved sets, the newest " + to_string(*newest),
                                  "none", "--fresh --force, which moves them away"));
  });
}

/// By steps on every rank alike; by time as rank 0's clock says.
bool TrainingCheckpoints::due() const {
  WarmTierSettings const& warm = settings_.warm;
  if (warm.every > 0 && trainer_->steps_done() % warm.every == 0) return true;
  if (warm.every_s <= 0) return false;
  double const waited =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - last_).count();
  double const mine = runtime_->rank() == 0 && waited >= warm.every_s ? 1 : 0;
  return all_reduce_value(mine, Reduce::max, runtime_->world()) > 0;
}

void TrainingCheckpoints::after_step() {
  while (auto const report = checkpointer_.finished()) tell(*report);
  if (due()) save();
}

void TrainingCheckpoints::save() {
  last_ = std::chrono::steady_clock::now();
  if (checkpointer_.save(state_, trainer_->steps_done())) {
    saved_step_ = trainer_->steps_done();
    return;
  }
  ++skipped_;
  if (runtime_->rank() == 0) {
    runtime_->log().warn("step " + std::to_string(trainer_->steps_done()) +
                         " is not saved: an earlier save is still under way (" +
                         std::to_string(skipped_) + " left out so far)");
  }
}

void TrainingCheckpoints::tell(SaveReport const& report) {
  if (runtime_->rank() != 0) return;
  if (!report.acknowledged) {
    runtime_->log().warn("checkpoint " + to_string(report.name) + " failed: " + report.reason);
    return;
  }
  if (!report.reason.empty()) runtime_->log().warn(report.reason);
  char times[64];
  std::snprintf(times, sizeof times, ", stood still %.1f ms, written in %.1f s", report.stall_ms,
                report.write_s);
  runtime_->log().info("saved " + to_string(report.name) + ": " + format_bytes(report.bytes) + times);
}

void TrainingCheckpoints::finish() {
  while (auto const report = checkpointer_.wait()) tell(*report);
  if (!settings_.at_exit || trainer_->steps_done() == saved_step_) return;
  save();
  while (auto const report = checkpointer_.wait()) tell(*report);
}

}  // namespace dsr
