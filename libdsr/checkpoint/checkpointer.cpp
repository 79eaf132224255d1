// SPDX-License-Identifier: Apache-2.0
#include "dsr/checkpoint/checkpointer.hpp"

#include <chrono>
#include <cstring>
#include <utility>
#include <vector>

#include "dsr/checkpoint/container.hpp"
#include "dsr/comm/agree.hpp"
#include "dsr/comm/collectives.hpp"
#include "dsr/core/error.hpp"
#include "dsr/core/transfer.hpp"
#include "dsr/core/version.hpp"
#include "dsr/state/pieces.hpp"

namespace dsr {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double unix_now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace

void CheckpointOptions::validate() const {
  if (directory.empty())
    throw InvalidArgument(problem("checkpoint.warm.path", "nothing", "a directory"));
  if (keep < 2)
    throw InvalidArgument(problem("checkpoint.warm.keep", std::to_string(keep), "2 or more", "2"));
  if (!run_id.empty() && !plain_name(run_id)) {
    throw InvalidArgument(
        problem("checkpoint: run id", run_id, "letters, digits, '.', '_' and '-'"));
  }
}

/// A save under way: what was copied, and what becomes of it.
struct Checkpointer::Staged {
  Buffer memory;  // pinned where there is CUDA
  std::vector<HostPiece> pieces;
  std::map<std::string, std::string> texts;
  std::string directory;
  SaveReport report;
  Clock::time_point copied;
};

Checkpointer::Checkpointer(Runtime& runtime, Mesh const& mesh, FileSystem& files,
                           CheckpointOptions options)
    : runtime_(&runtime),
      mesh_(&mesh),
      files_(&files),
      options_((options.validate(), std::move(options))),
      group_(runtime.world().split(0, runtime.rank(), "checkpoint")) {
  if (options_.run_id.empty()) options_.run_id = "run";
  std::string generation;
  agree(runtime.world(), [&] {
    if (runtime.rank() != 0) return;
    make_directories(*files_, options_.directory);
    generation = std::to_string(next_generation(*files_, options_.directory));
  });
  generation_ = std::stoi(broadcast_text(generation, 0, runtime.world()));
  agree(runtime.world(), [&] {
    if (files_->exists(options_.directory)) return;
    throw IoError(problem(options_.directory, "not there on " + runtime.host(),
                          "one directory that every node sees"));
  });
}

Checkpointer::~Checkpointer() {
  if (writer_.joinable()) writer_.join();
}

bool Checkpointer::save(State const& state, Size step) {
  // A rank whose own writer has ended may not begin the next save while another's is under way.
  double const busy = busy_ ? 1 : 0;
  if (all_reduce_value(busy, Reduce::max, runtime_->world()) > 0) return false;
  collect();
  auto const start = Clock::now();
  SetName const name{step, generation_};
  auto staged = std::make_unique<Staged>();
  staged->report.name = name;
  staged->directory = options_.directory + "/" + to_string(name);
  std::string made;
  if (runtime_->rank() == 0) {
    try {
      if (!files_->make_directory(staged->directory)) made = "it is there already";
      files_->sync_directory(options_.directory);
    } catch (Error const& error) {
      made = error.what();
    }
  }
  staged->report.reason = broadcast_text(made, 0, runtime_->world());
  if (staged->report.reason.empty()) stage(state, *staged);
  staged->copied = Clock::now();
  staged->report.stall_ms = seconds_since(start) * 1e3;
  staged_ = std::move(staged);
  if (!staged_->report.reason.empty()) return true;  // finished() tells
  busy_ = true;
  writer_ = std::thread{[this] {
    write(*staged_);
    busy_ = false;
  }};
  return true;
}

/// Into memory of its own, so that training may go on at once.
void Checkpointer::stage(State const& state, Staged& staged) {
  std::vector<StatePiece> const pieces = stored_by(state, *mesh_);
  Size bytes = 0;
  for (StatePiece const& piece : pieces) bytes += round_up(piece.local.bytes(), kAlignment_bytes);
  staged.memory = Buffer::pinned(bytes);
  auto* at = static_cast<std::byte*>(staged.memory.data());
  Stream stream{mesh_->device()};
  for (StatePiece const& piece : pieces) {
    Tensor const host{at, piece.local.shape(), piece.dtype, kCpu};
    transfer(piece.local, host, stream);
    staged.pieces.push_back({piece.name, piece.global, piece.dtype, piece.box,
                             {at, static_cast<std::size_t>(piece.local.bytes())}});
    at += round_up(piece.local.bytes(), kAlignment_bytes);
  }
  for (TextEntry const& entry : state.texts()) staged.texts[entry.name] = entry.save();
  stream.synchronize();
}

/// On the writing thread of every rank: the file, then one report to all, then rank 0 commits, and
/// says so. What fails on one rank fails the set on all.
void Checkpointer::write(Staged& staged) {
  std::string mine;
  try {
    mine = "+";
    mine += to_text(write_rank_file(*files_, staged.directory, group_.rank(), staged.pieces));
  } catch (std::exception const& error) {
    mine = "-rank ";
    mine += std::to_string(group_.rank()) + ": " + error.what();
  }
  try {
    commit(staged, gather_texts(mine, group_));
  } catch (std::exception const& error) {
    staged.report.reason = error.what();
  }
  staged.report.write_s = seconds_since(staged.copied);
}

void Checkpointer::commit(Staged& staged, std::vector<std::string> const& reports) {
  std::string outcome;
  for (std::string const& report : reports) {
    if (report.starts_with('-') && outcome.empty()) outcome = report.substr(1);
  }
  if (outcome.empty() && group_.rank() == 0) {
    try {
      std::vector<RankReport> parsed;
      for (std::string const& report : reports) parsed.push_back(parse_report(report.substr(1)));
      Manifest manifest = merge_reports(parsed);
      manifest.step = staged.report.name.step;
      manifest.generation = staged.report.name.generation;
      manifest.run_id = options_.run_id;
      manifest.mesh = to_string(mesh_->shape());
      manifest.saved_unix = unix_now();
      manifest.state = staged.texts;
      manifest.versions["dsr"] = version();
      manifest.files.push_back(write_view(*files_, staged.directory, manifest));
      commit_manifest(*files_, staged.directory, manifest);
      for (StoredFile const& file : manifest.files) staged.report.bytes += file.bytes;
    } catch (std::exception const& error) {
      outcome = error.what();
    }
  }
  staged.report.reason = broadcast_text(outcome, 0, group_);
  staged.report.bytes =
      std::stoll(broadcast_text(std::to_string(staged.report.bytes), 0, group_));
  staged.report.acknowledged = staged.report.reason.empty();
  if (!staged.report.acknowledged || group_.rank() != 0) return;
  try {
    prune(*files_, options_.directory, options_.keep);
  } catch (Error const& error) {
    // The new set is safe; what could not be removed is tried again after the next one.
    staged.report.reason = std::string("older sets were not removed: ") + error.what();
  }
}

/// The save that has ended, if there is one, becomes a report.
void Checkpointer::collect() {
  if (staged_ == nullptr || busy_) return;
  if (writer_.joinable()) writer_.join();
  ended_.push_back(staged_->report);
  staged_ = nullptr;
}

std::optional<SaveReport> Checkpointer::finished() {
  collect();
  if (ended_.empty()) return std::nullopt;
  SaveReport const first = ended_.front();
  ended_.pop_front();
  return first;
}

std::optional<SaveReport> Checkpointer::wait() {
  if (writer_.joinable()) writer_.join();
  return finished();
}

}  // namespace dsr
