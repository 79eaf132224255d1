// SPDX-License-Identifier: Apache-2.0
// The saving half of Checkpointer: what the training thread does of it.
#include "dsr/checkpoint/checkpointer.hpp"

#include <chrono>
#include <future>
#include <utility>

#include "dsr/comm/agree.hpp"
#include "dsr/comm/collectives.hpp"
#include "dsr/core/error.hpp"
#include "libdsr/checkpoint/checkpointer_parts.hpp"

namespace dsr {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Makes the directories, which must be there on all ranks; one above all generations in them.
int start_tiers(detail::JobFiles const& job, std::vector<detail::TierPlace> const& places) {
  int generation = 1;
  for (detail::TierPlace const& place : places) {
    agree(job.world(), [&] {
      if (!job.acts(place)) return;
      make_directories(job.files, place.directory);
      generation = std::max(generation, next_generation(job.files, place.directory));
    });
    agree(job.world(), [&] {
      if (job.files.exists(place.directory)) return;
      std::string const whose = place.tier == Tier::hot ? "its ranks see" : "every node sees";
      throw IoError(problem(place.directory, "not there on " + job.runtime.host(),
                            "one directory that " + whose));
    });
  }
  return static_cast<int>(all_reduce_value(generation, Reduce::max, job.world()));
}

}  // namespace

Checkpointer::Checkpointer(Runtime& runtime, Mesh const& mesh, FileSystem& files,
                           CheckpointOptions options)
    : runtime_(&runtime),
      mesh_(&mesh),
      files_(&files),
      options_((options.validate(), std::move(options))),
      staging_(mesh.device(), options_.staging) {
  if (options_.run_id.empty()) options_.run_id = "run";
  parts_ = std::make_unique<Parts>(runtime, mesh, files, options_, staging_);
  generation_ = start_tiers(parts_->job, parts_->places);
}

Checkpointer::Parts::Parts(Runtime& runtime, Mesh const& mesh, FileSystem& files,
                           CheckpointOptions const& options, Staging& staging)
    : nodes(runtime, options.node),
      places(detail::places_of(options)),
      job{runtime, files, nodes},
      writer(files, options, nodes, runtime.world().split(0, runtime.rank(), "checkpoint"), staging,
             to_string(mesh.shape())) {}

Checkpointer::~Checkpointer() {
  if (writer_.joinable()) writer_.join();
}

void Checkpointer::reserve(State const& state) {
  agree(runtime_->world(), [&] { staging_.reserve(state, *mesh_); });
}

bool Checkpointer::save(State const& state, Size step, std::vector<Tier> tiers) {
  // A rank whose own writer has ended may not begin the next save while another's is under way.
  double const busy = busy_ ? 1 : 0;
  if (all_reduce_value(busy, Reduce::max, runtime_->world()) > 0) return false;
  if (writer_.joinable()) writer_.join();
  detail::SetToWrite set{.name = {step, generation_}, .places = parts_->writer.chosen(tiers)};
  if (set.places.empty()) return true;
  auto const begun = Clock::now();
  try {
    for (TextEntry const& entry : state.texts()) set.texts[entry.name] = entry.save();
    staging_.begin(state, *mesh_);
  } catch (std::exception const& error) {  // the writer tells all ranks
    set.problem = error.what();
    staging_.abandon();
  }
  // What is bounded has to be emptied meanwhile; what is not is copied faster with the core to
  // itself.
  bool const stands_still = set.problem.empty();
  if (stands_still && staging_.whole()) staging_.copy();
  busy_ = true;
  std::promise<double> stall_ms;
  writer_ = std::thread{[this, set = std::move(set), stalled = stall_ms.get_future().share()] {
    parts_->writer.write(set, [&](SaveReport report) { tell(std::move(report), stalled.get()); });
    busy_ = false;
  }};
  if (stands_still && !staging_.whole()) staging_.copy();
  stall_ms.set_value(seconds_since(begun) * 1e3);
  return true;
}

/// Called by the writing thread.
void Checkpointer::tell(SaveReport report, double stall_ms) {
  report.stall_ms = stall_ms;
  std::lock_guard const lock{parts_->mutex};
  ended_.push_back(std::move(report));
}

std::optional<SaveReport> Checkpointer::finished() {
  std::lock_guard const lock{parts_->mutex};
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
