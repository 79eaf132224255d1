// SPDX-License-Identifier: Apache-2.0
#pragma once
/// TrainingCheckpoints: resumes a run and saves it at intervals, with one line a set.
///
///     TrainingCheckpoints checkpoints{runtime, mesh, trainer, settings};
///     checkpoints.begin(line);
///     trainer.between_steps([&] { checkpoints.after_step(); });
///     trainer.run_to(steps);
///     checkpoints.finish();
#include <chrono>
#include <optional>

#include "dsr/checkpoint/checkpointer.hpp"
#include "dsr/config/command_line.hpp"
#include "dsr/config/train_settings.hpp"
#include "dsr/train/trainer.hpp"

namespace dsr {

/// Neither copies nor moves. Collective: every rank makes the same calls.
class TrainingCheckpoints {
 public:
  TrainingCheckpoints(Runtime& runtime, Mesh const& mesh, Trainer& trainer,
                      TrainSettings const& settings, FileSystem& files = system_files());
  TrainingCheckpoints(TrainingCheckpoints const&) = delete;
  TrainingCheckpoints& operator=(TrainingCheckpoints const&) = delete;

  /// Goes on from the newest sound set, and says so; nullopt if there is none or checkpoint.resume
  /// is "never". Throws AgreedError if it is "required" and there is none, or if a set does not fit
  /// the model or the data.
  std::optional<ResumedSet> resume();
  /// What the command line asks for: resume(), or with --fresh a start at step 0. Throws AgreedError
  /// (exit code 78) that names the newest set if there are committed ones, unless --force moves them
  /// away.
  void begin(CommandLine const& line);
  /// Between steps: tells of a save that has ended, and begins one that is due.
  void after_step();
  /// At the end: waits, and saves the last step unless it is saved already or
  /// checkpoint.at_exit is false.
  void finish();
  /// Steps whose save had to be left out because one was still under way.
  Size skipped() const { return skipped_; }

 private:
  bool due() const;
  void save();
  void tell(SaveReport const& report);

  Runtime* runtime_;
  Trainer* trainer_;
  CheckpointSettings settings_;
  State state_;
  Checkpointer checkpointer_;
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
  Size saved_step_ = -1, skipped_ = 0;
};

}  // namespace dsr
