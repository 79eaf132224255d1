// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Checkpointer: saves a State while training goes on, and loads the newest sound set on any mesh.
///
///     Checkpointer checkpoints{runtime, mesh, system_files(), {.directory = "run/checkpoints"}};
///     if (auto resumed = checkpoints.load(state)) print(to_string(*resumed));
///     checkpoints.save(state, step);                   // returns once the state has been copied
///     if (auto report = checkpoints.finished()) …      // the set is acknowledged, or it failed
///
/// A set is acknowledged when its manifest is on the disk and every rank knows it; older sets are
/// pruned only then. A save that fails is a report, never an error: training goes on, older sets stay.
#include <atomic>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "dsr/checkpoint/rank_file.hpp"
#include "dsr/checkpoint/sets.hpp"
#include "dsr/comm/runtime.hpp"
#include "dsr/core/buffer.hpp"
#include "dsr/mesh/mesh.hpp"
#include "dsr/state/state.hpp"

namespace dsr {

struct CheckpointOptions {
  std::string directory;  ///< of the tier, visible from every node
  std::string run_id = {};  ///< plain_name; empty: "run"
  int keep = 3;           ///< committed sets that stay, at least 2
  /// Throws InvalidArgument.
  void validate() const;
};

struct ResumedSet {
  std::string directory;
  SetName name;
  std::string mesh;  ///< that saved it
  double age_s = 0;
  int files = 0;
};
/// "resumed step 1200 from checkpoints/step_000001200.g002 (age 4m12s, 4/4 files verified, saved on
/// dp=2 row=2 col=1)".
std::string to_string(ResumedSet const& set);

struct SaveReport {
  SetName name;
  bool acknowledged = false;
  std::string reason;  ///< why not
  Size bytes = 0;      ///< of all ranks
  double stall_ms = 0;  ///< in which this rank's training stood still
  double write_s = 0;   ///< from the copy to the acknowledgement
};

/// Neither copies nor moves. All ranks make the same calls. What it is given must outlive it; the
/// destructor waits for a save that is under way.
class Checkpointer {
 public:
  /// Makes the tier, and takes a generation above any that it has seen. Collective over the world.
  /// Throws AgreedError if the directory cannot be made, or is not the same one on every node.
  Checkpointer(Runtime& runtime, Mesh const& mesh, FileSystem& files, CheckpointOptions options);
  ~Checkpointer();
  Checkpointer(Checkpointer const&) = delete;
  Checkpointer& operator=(Checkpointer const&) = delete;

  /// Loads the newest committed set whose every block has the hash that its manifest says; sets
  /// that fail become corrupt.* and are named in a warning. Nullopt if there is none. Collective.
  /// Throws AgreedError if a sound set does not fit the state: a tensor or text is missing, or has
  /// another shape.
  std::optional<ResumedSet> load(State& state);

  /// The newest committed set's name; nullopt if there is none. Collective.
  std::optional<SetName> newest();
  /// Moves all sets into <directory>/old.g<generation>, so that load finds none. Collective. Throws
  /// AgreedError if that fails.
  void move_away();

  /// Copies the state and writes it beside training. False, and nothing is done, if a save is still
  /// under way on some rank. Collective.
  bool save(State const& state, Size step);
  /// The report of a save that has ended, each once, in order.
  std::optional<SaveReport> finished();
  /// Waits for a save that is under way.
  std::optional<SaveReport> wait();
  int generation() const { return generation_; }

 private:
  struct Staged;
  void stage(State const& state, Staged& staged);
  void write(Staged& staged);
  void commit(Staged& staged, std::vector<std::string> const& reports);
  void collect();
  std::vector<std::string> candidates();
  std::string faults(std::string const& directory, Manifest const& manifest);
  void set_aside(std::string const& directory, std::string const& reason);
  void fill_in(std::string const& directory, Manifest const& manifest, State& state);

  Runtime* runtime_;
  Mesh const* mesh_;
  FileSystem* files_;
  CheckpointOptions options_;
  Communicator group_;  // of the writing threads alone
  int generation_ = 1;
  std::unique_ptr<Staged> staged_;
  std::deque<SaveReport> ended_;  // not asked for yet
  std::thread writer_;
  std::atomic<bool> busy_{false};
};

}  // namespace dsr
