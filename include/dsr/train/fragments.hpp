// SPDX-License-Identifier: Apache-2.0
#pragma once
/// GradientFragments: what each rank has accumulated within a step goes to its own disk between
/// micro-batches, so that a run that was killed goes on in the middle of a step.
///
///     GradientFragments fragments{runtime, mesh, trainer, system_files(), {.directory = path}};
///     if (resumed) fragments.resume(resumed->name.step, resumed->content_hash);
///     trainer.between_micro_batches([&](Accumulated const& done) { fragments.offer(done); });
///     trainer.between_steps([&] { …; fragments.after_step(); });
///     fragments.acknowledged(step, content_hash);           // whenever a set is
///
/// Gradients belong to the weights that they were computed with. So fragments are written only
/// within a step that begins at an acknowledged set, and used only behind that set, on the same
/// mesh, with the same settings: the run then equals the one that was not killed, bit for bit.
/// Whoever cannot use them redoes the step's accumulation. Failures of files are warnings.
#include <atomic>
#include <chrono>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "dsr/checkpoint/fragment_file.hpp"
#include "dsr/core/buffer.hpp"
#include "dsr/train/fragment_policy.hpp"
#include "dsr/train/trainer.hpp"

namespace dsr {

struct FragmentOptions {
  FragmentPolicy policy = FragmentPolicy::automatic;
  double mttf_s = 86400;
  std::string directory = {};  ///< of this node's or of all ranks' slots
  std::string run_id = "run";
  int generation = 1;
  /// Whatever changes a gradient and is not in parameters, TrainerOptions and LoaderOptions, such
  /// as the number of heads.
  std::string settings = {};
};

/// Neither copies nor moves: a thread of its own writes. What it is given must outlive it; the
/// destructor waits for a write that is under way.
class GradientFragments {
 public:
  /// Collective over the world. Throws InvalidArgument if options do not fit.
  GradientFragments(Runtime& runtime, Mesh const& mesh, Trainer& trainer, FileSystem& files,
                    FragmentOptions options);
  ~GradientFragments();
  GradientFragments(GradientFragments const&) = delete;
  GradientFragments& operator=(GradientFragments const&) = delete;

  /// A set of this step is acknowledged; ranks may learn of it at different times.
  void acknowledged(Size step, std::string content_hash);
  /// Behind the loading of this set: where fragments of all ranks of a replica are there, its next
  /// step goes on at the newest micro-batch that all of them have. Prints one line, which says what
  /// each replica does and why, unless there is no fragment at all; returns it. Collective over the
  /// world.
  std::string resume(Size step, std::string const& content_hash);
  /// For Trainer::between_micro_batches. Copies what was accumulated if a fragment is due and all
  /// ranks of the replica are ready for it; the rest goes on in a thread. Collective over the
  /// replica while fragments are on.
  void offer(Accumulated const& done);
  /// After each step. With FragmentPolicy::automatic it decides, and prints one line: after the
  /// second step where the copy alone says no, else once a first fragment has been written.
  /// Collective over the world until it has decided.
  void after_step();
  /// Until the write that is under way has ended.
  void wait();
  /// False if no fragment will be written any more.
  bool on() const { return stage_ != Stage::off; }
  /// Fragments that this rank has begun to write.
  Size written() const { return written_; }

 private:
  enum class Stage : std::uint8_t { off, sampling, measuring, on };
  struct Found;  // what a rank can use
  using Clock = std::chrono::steady_clock;

  FragmentHeader header_of(Accumulated const& done) const;
  Tensor on_host(Tensor const& like, Size offset);
  void allocate_memory();
  void sample_copy();
  Event copy_out();
  void write(FragmentHeader header, Event const& copied);
  Found look(FragmentHeader const& wanted);
  std::optional<FragmentHeader> load(Found& found);
  void take_up(FragmentHeader const& header);
  std::string tell(std::optional<FragmentHeader> const& used, std::string const& reason);
  void time_step();
  void decide_now();
  void collect();
  void fail(std::string const& reason);

  Runtime* runtime_;
  Mesh const* mesh_;
  Trainer* trainer_;
  FragmentOptions options_;
  Communicator replica_;  // the ranks that hold one replica, for control alone
  Stage stage_ = Stage::off;
  Size every_ = 1, bytes_ = 0, written_ = 0;
  std::string settings_;  // hash
  FragmentFile file_;
  std::optional<Stream> copies_;
  Buffer memory_;  // the gradients, then the loss
  Size base_step_ = -1;
  std::string base_;
  FragmentCosts costs_;
  std::optional<Clock::time_point> step_began_;
  std::string failure_;  // why this rank writes no more
  std::thread writer_;
  std::atomic<bool> busy_{false};
};

}  // namespace dsr
