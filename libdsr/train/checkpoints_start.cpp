// SPDX-License-Identifier: Apache-2.0
// How TrainingCheckpoints begins: lock, directories, the set that the run goes on from.
#include <utility>

#include "dsr/checkpoint/probe.hpp"
#include "dsr/comm/agree.hpp"
#include "dsr/comm/collectives.hpp"
#include "dsr/core/error.hpp"
#include "dsr/train/checkpoints.hpp"
#include "dsr/train/settings.hpp"
#include "libdsr/train/checkpoint_forecast.hpp"
#include "libdsr/train/run_name.hpp"

namespace dsr {
namespace {

std::unique_ptr<RunLock> take_lock(Runtime& runtime, TrainSettings const& settings,
                                   FileSystem& files) {
  std::unique_ptr<RunLock> lock;
  agree(runtime.world(), [&] {
    if (runtime.rank() != 0) return;
    lock = std::make_unique<RunLock>(
        files, settings.run.dir,
        RunLockOptions{.lease_s = settings.checkpoint.lease_s,
                       .say = [&](std::string const& text) { runtime.log().info(text); }});
  });
  return lock;
}

/// The options of the tiers, whose directories are then there and checked.
CheckpointOptions prepare(Runtime& runtime, TrainSettings const& settings, FileSystem& files,
                          RunLock* lock) {
  CheckpointOptions options = checkpoint_options(settings, runtime.node_size());
  options.run_id = broadcast_text(
      runtime.rank() == 0 ? detail::run_name(settings.run.dir) : std::string{}, 0, runtime.world());
  if (lock != nullptr) options.before_commit = [lock] { lock->check(); };
  options.validate();
  probe_tiers(runtime, files, options);
  return options;
}

/// Beside the hot sets, on the node's own disk, else the warm ones.
std::string fragment_directory(TrainSettings const& settings, CheckpointOptions const& options) {
  std::string const& hot = options.hot.directory;
  if (!hot.empty()) return hot + "/" + options.run_id + "/fragments";
  std::string const& warm = options.warm.directory;
  return (warm.empty() ? settings.run.dir : warm) + "/fragments";
}

FragmentOptions fragment_options(TrainSettings const& settings, CheckpointOptions const& options,
                                 int generation) {
  return {.policy = parse_fragment_policy(settings.checkpoint.fragments),
          .mttf_s = settings.checkpoint.mttf_s,
          .directory = fragment_directory(settings, options),
          .run_id = options.run_id,
          .generation = generation,
          .settings = "heads " + std::to_string(settings.model.heads) + ", data " +
                      settings.data.train + ", split " + std::to_string(settings.data.split)};
}

}  // namespace

TrainingCheckpoints::TrainingCheckpoints(Runtime& runtime, Mesh const& mesh, Trainer& trainer,
                                         TrainSettings const& settings, FileSystem& files)
    : runtime_(&runtime),
      trainer_(&trainer),
      settings_(settings.checkpoint),
      has_{!settings_.hot.path.empty(), !settings_.warm.path.empty(), !settings_.cold.path.empty()},
      lock_(take_lock(runtime, settings, files)),
      options_(prepare(runtime, settings, files, lock_.get())),
      checkpointer_(runtime, mesh, files, options_),
      fragments_(runtime, mesh, trainer, files,
                 fragment_options(settings, options_, checkpointer_.generation())),
      files_(&files),
      mesh_(&mesh) {
  if (settings_.at_exit) signals_.emplace();
  if (fragments_.on()) {
    trainer.between_micro_batches([this](Accumulated const& done) {
      // The set that this step begins at may have been acknowledged meanwhile.
      while (auto const report = checkpointer_.finished()) tell(*report);
      fragments_.offer(done);
    });
  }
  trainer.visit_state(state_);
  acknowledged_step_ = trainer.steps_done();
}

TrainingCheckpoints::~TrainingCheckpoints() { trainer_->between_micro_batches({}); }

std::optional<ResumedSet> TrainingCheckpoints::resume() {
  if (settings_.resume == "never") return std::nullopt;
  std::optional<ResumedSet> const resumed = checkpointer_.load(state_);
  if (resumed) {
    trainer_->after_load();
    acknowledged_step_ = resumed->name.step;
    told_step_[static_cast<std::size_t>(resumed->tier)] = resumed->name.step;
    runtime_->log().info(to_string(*resumed));
    fragments_.resume(resumed->name.step, resumed->content_hash);
  } else if (settings_.resume == "required") {
    agree(runtime_->world(), [&] {
      throw CorruptData(problem("checkpoint.resume", "no committed set to resume from in any tier",
                                "one in checkpoint.hot.path, warm.path or cold.path",
                                "checkpoint.resume = auto"));
    });
  }
  return resumed;
}

void TrainingCheckpoints::begin(CommandLine const& line) {
  if (!line.fresh) {
    resume();
  } else if (std::optional<SetName> const newest = checkpointer_.newest()) {
    if (!line.force) {
      agree(runtime_->world(), [&] {
        throw InvalidArgument(problem("--fresh",
                                      "there are saved sets, the newest " + to_string(*newest),
                                      "none", "--fresh --force, which moves them away"));
      });
    }
    checkpointer_.move_away();
  }
  begun_step_ = trainer_->steps_done();
  checkpointer_.reserve(state_);
  detail::say_forecast(*runtime_, *files_, state_, *mesh_, trainer_->compute(), options_);
  last_ = std::chrono::steady_clock::now();
}

}  // namespace dsr
