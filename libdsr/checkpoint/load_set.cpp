// SPDX-License-Identifier: Apache-2.0
// The loading half of Checkpointer: the newest candidate that all ranks find sound.
#include <algorithm>
#include <cstdio>
#include <ctime>

#include "dsr/checkpoint/checkpointer.hpp"
#include "dsr/comm/agree.hpp"
#include "dsr/comm/collectives.hpp"
#include "dsr/core/error.hpp"
#include "libdsr/checkpoint/checkpointer_parts.hpp"
#include "libdsr/checkpoint/pool.hpp"
#include "libdsr/checkpoint/set_loader.hpp"

namespace dsr {

using detail::Candidate;
using detail::Outcome;
using detail::OutcomeKind;

namespace {

using detail::JobFiles;
using detail::OpenSet;
using detail::StatePlan;

/// Read once, by the rank that holds it, and parsed by all.
Outcome open_set(JobFiles const& job, Candidate const& candidate, OpenSet& set) {
  std::string const path = candidate.directory() + "/" + kManifestName;
  Outcome const read = agreed(detail::attempt([&] {
                                if (job.runtime.rank() == candidate.holder)
                                  set.text = read_text(job.files, path, kManifestMost_bytes);
                              }),
                              job.world());
  if (!read.fine()) return {read.text, OutcomeKind::corrupt};
  set.text = broadcast_text(std::move(set.text), candidate.holder, job.world());
  Outcome const parsed = detail::attempt([&] {
    set.manifest = parse_manifest(set.text, path);
    SetName const name{set.manifest.step, set.manifest.generation};
    if (name != candidate.name)
      throw CorruptData(
          problem(path, "the manifest of " + to_string(name), to_string(candidate.name)));
  });
  return parsed;
}

/// The blocks that this rank hashes: all of its share, or those that it reads itself.
BlockShare share_of(JobFiles const& job, Candidate const& candidate, Verify verify,
                    StatePlan const& plan, std::vector<bool> const& node_files) {
  if (verify == Verify::used) {
    auto const blocks = plan.blocks();
    return {.wanted = [blocks](std::size_t file, Size block) {
      return static_cast<bool>(blocks[file][static_cast<std::size_t>(block)]);
    }};
  }
  int const rank = job.runtime.rank();
  if (candidate.place.tier != Tier::hot) return {rank, job.runtime.size(), {}};
  int const node = job.nodes.of(rank);
  return {job.nodes.place(rank), static_cast<int>(job.nodes.ranks(node).size()),
          [node_files](std::size_t file, Size) { return static_cast<bool>(node_files[file]); }};
}

/// For each file, whether this node's ranks verify it; what nodes lack is there afterwards.
Outcome pool(JobFiles const& job, Candidate const& candidate, OpenSet const& set,
             StatePlan const& plan, std::vector<bool>& node_files) {
  if (candidate.place.tier != Tier::hot) return {};
  std::vector<bool> needed;
  for (std::vector<bool> const& blocks : plan.blocks())
    needed.push_back(std::ranges::find(blocks, true) != blocks.end());
  detail::Pooled pooled = pool_files(job, candidate, set.manifest, set.text, needed);
  node_files = std::move(pooled.mine);
  return pooled.outcome;
}

/// Whether the error is the set's own fault; else it may be sound, and stays.
bool blames_set(Outcome const& outcome) { return outcome.kind == OutcomeKind::corrupt; }

}  // namespace

std::optional<SetName> Checkpointer::newest() {
  std::vector<Candidate> const found = list_candidates(parts_->job, parts_->places);
  if (found.empty()) return std::nullopt;
  return found.front().name;
}

void Checkpointer::move_away() {
  char name[16];
  std::snprintf(name, sizeof name, "old.g%03d", generation_);
  for (detail::TierPlace const& place : parts_->places) {
    agree(runtime_->world(), [&] {
      if (!parts_->job.acts(place)) return;
      std::string const to = place.directory + "/" + name;
      files_->make_directory(to);
      for (FoundSet const& set : sets_of_tier(*files_, place.directory))
        files_->rename(set.directory, to + "/" + to_string(set.name));
      files_->sync_directory(to);
      files_->sync_directory(place.directory);
    });
  }
}

std::optional<ResumedSet> Checkpointer::load(State& state) {
  if (writer_.joinable()) writer_.join();  // what it writes is in the memory that loading borrows
  overwritten_ = false;
  for (Candidate const& candidate : list_candidates(parts_->job, parts_->places)) {
    if (auto resumed = load_one(candidate, state)) return resumed;
  }
  bool const changed = all_reduce_value(overwritten_ ? 1 : 0, Reduce::max, runtime_->world()) > 0;
  agree(runtime_->world(), [&] {
    if (changed)
      throw CorruptData(problem("checkpoint", "no set is sound, and a part of one is in the state",
                                "a sound one"));
  });
  return std::nullopt;
}

/// Verifies and reads. Of what is damaged on one node another may have a good copy.
Outcome Checkpointer::read_set(Candidate const& candidate, detail::OpenSet const& set,
                               detail::StatePlan const& plan, State& state) {
  JobFiles const& job = parts_->job;
  std::vector<Fault> faults;
  Outcome const first = read_pooled(candidate, set, plan, state, faults);
  bool const again = blames_set(first) && candidate.place.tier == Tier::hot &&
                     drop_damaged(job, candidate, faults);
  if (!again) return first;
  Outcome const second = read_pooled(candidate, set, plan, state, faults);
  if (second.fine() && runtime_->rank() == 0) {
    runtime_->log().warn("checkpoint " + text_of(candidate) + ": " + first.text +
                         ": another node's copy is used");
  }
  return blames_set(second) ? first : second;
}

/// The state is unchanged unless the outcome is fine or overwritten_ is set.
Outcome Checkpointer::read_pooled(Candidate const& candidate, detail::OpenSet const& set,
                                  detail::StatePlan const& plan, State& state,
                                  std::vector<Fault>& faults) {
  JobFiles const& job = parts_->job;
  std::vector<bool> node_files;
  Outcome const pooled = pool(job, candidate, set, plan, node_files);
  if (!pooled.fine()) return pooled;
  std::optional<detail::SetLoader> loader;
  Outcome const verified =
      agreed(detail::attempt([&] {
               loader.emplace(*files_, candidate.directory(), set.manifest, plan, state, *mesh_,
                              staging_.lend(),
                              share_of(job, candidate, options_.verify, plan, node_files));
               if (loader->in_place()) overwritten_ = true;
               faults = loader->verify();
               if (!faults.empty()) throw CorruptData(to_string(faults.front(), set.manifest));
             }),
             job.world());
  if (!verified.fine()) return verified;
  agree(job.world(), [&] { loader->fill_in(); });
  return {};
}

/// Nullopt if the set is not used; a warning has said why, and it is set aside if it is to blame.
std::optional<ResumedSet> Checkpointer::load_one(Candidate const& candidate, State& state) {
  JobFiles const& job = parts_->job;
  OpenSet set;
  Outcome outcome = open_set(job, candidate, set);
  std::optional<StatePlan> plan;
  if (outcome.fine()) {
    Outcome const fits = agreed(
        detail::attempt([&] { plan.emplace(set.manifest, text_of(candidate), state, *mesh_); }),
        job.world());
    if (!fits.fine() && candidate.place.tier == Tier::cold) return std::nullopt;  // weights alone
    agree(job.world(), [&] {
      if (!fits.fine()) throw InvalidArgument(fits.text);
    });
    if (plan->fresh() && candidate.place.tier == Tier::cold) return std::nullopt;
    outcome = read_set(candidate, set, *plan, state);
  }
  if (!outcome.fine()) {
    if (blames_set(outcome))
      set_aside(job, candidate, outcome.text);
    else if (runtime_->rank() == 0)
      runtime_->log().warn("checkpoint " + text_of(candidate) + " is not used: " + outcome.text);
    return std::nullopt;
  }
  return ResumedSet{.directory = candidate.directory(),
                    .name = candidate.name,
                    .mesh = set.manifest.mesh,
                    .age_s = static_cast<double>(std::time(nullptr)) - set.manifest.saved_unix,
                    .files = static_cast<int>(set.manifest.files.size()),
                    .tier = candidate.place.tier,
                    .content_hash = content_hash(set.manifest),
                    .fresh_start = plan->fresh()};
}

}  // namespace dsr
