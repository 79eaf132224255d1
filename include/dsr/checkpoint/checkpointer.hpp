// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Checkpointer: saves a State while training goes on, and loads the newest sound set on any mesh.
///
///     Checkpointer checkpoints{runtime, mesh, system_files(),
///                              {.warm = {.directory = "run/checkpoints"}}};
///     if (auto resumed = checkpoints.load(state)) print(to_string(*resumed));
///     checkpoints.save(state, step);                   // returns once the state has been copied
///     if (auto report = checkpoints.finished()) …      // the set is acknowledged, or it failed
///
/// A set is acknowledged when its manifest is on the disk and every rank knows it; older sets are
/// pruned only then. A save that fails is a report, never an error: training goes on, older sets
/// stay.
#include <atomic>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "dsr/checkpoint/checkpoint_options.hpp"
#include "dsr/checkpoint/checkpoint_report.hpp"
#include "dsr/checkpoint/sets.hpp"
#include "dsr/checkpoint/staging.hpp"
#include "dsr/comm/runtime.hpp"
#include "dsr/mesh/mesh.hpp"
#include "dsr/state/state.hpp"

namespace dsr {

namespace detail {
struct Candidate;
struct OpenSet;
struct Outcome;
class StatePlan;
}  // namespace detail

/// Neither copies nor moves. All ranks make the same calls. What it is given must outlive it; the
/// destructor waits for a save that is under way.
class Checkpointer {
 public:
  /// Makes the tiers' directories, and takes a generation above any that is seen in any tier of any
  /// node. Collective over the world. Throws AgreedError if a directory cannot be made, or one that
  /// must be shared is not there on every rank; InvalidArgument as CheckpointOptions::validate.
  Checkpointer(Runtime& runtime, Mesh const& mesh, FileSystem& files, CheckpointOptions options);
  ~Checkpointer();
  Checkpointer(Checkpointer const&) = delete;
  Checkpointer& operator=(Checkpointer const&) = delete;

  /// Loads the newest committed set of all tiers, by (step, generation), then hot, warm, cold,
  /// whose every block has the hash that its manifest says; sets that fail become corrupt.* and are
  /// named in a warning. In the hot tier a file that is damaged on one node is fetched from another
  /// that has it. Nullopt if there is none. Collective.
  /// Throws AgreedError if a set does not fit the state: a tensor or text is missing, or has
  /// another shape; nothing is changed then. Also if no set is sound and a part of one that is not
  /// has been loaded, which a state of more than 64 MiB on the CPU allows: it must not be used.
  std::optional<ResumedSet> load(State& state);

  /// The newest committed set's name; nullopt if there is none. Collective.
  std::optional<SetName> newest();
  /// Moves all sets into <directory>/old.g<generation>, so that load finds none. Collective. Throws
  /// AgreedError if that fails.
  void move_away();

  /// Makes the memory that saving needs, so that no step waits for it: on a GPU pinning takes
  /// seconds. Without this the first save does it. Collective. Throws AgreedError.
  void reserve(State const& state);
  Staging const& staging() const { return staging_; }
  /// Copies the state and writes it beside training, into the fastest of these tiers that is on,
  /// and from there into the others. False, and nothing is done, if a save is still under way on
  /// some rank. True and no report if none of the tiers is on, as a hot one that stayed full.
  /// Collective.
  bool save(State const& state, Size step, std::vector<Tier> tiers = {Tier::warm});
  /// The report of a tier that a save has ended in, each once, in order.
  std::optional<SaveReport> finished();
  /// Waits for a save that is under way.
  std::optional<SaveReport> wait();
  int generation() const { return generation_; }

 private:
  struct Parts;
  void tell(SaveReport report, double stall_ms);
  std::optional<ResumedSet> load_one(detail::Candidate const& candidate, State& state);
  detail::Outcome read_set(detail::Candidate const& candidate, detail::OpenSet const& set,
                           detail::StatePlan const& plan, State& state);
  detail::Outcome read_pooled(detail::Candidate const& candidate, detail::OpenSet const& set,
                              detail::StatePlan const& plan, State& state,
                              std::vector<Fault>& faults);

  Runtime* runtime_;
  Mesh const* mesh_;
  FileSystem* files_;
  CheckpointOptions options_;
  int generation_ = 1;
  bool overwritten_ = false;  // by a set that may not be sound
  Staging staging_;
  std::unique_ptr<Parts> parts_;
  std::deque<SaveReport> ended_;  // not asked for yet
  std::thread writer_;
  std::atomic<bool> busy_{false};
};

}  // namespace dsr
