// SPDX-License-Identifier: Apache-2.0
#include "libdsr/checkpoint/tier_writer.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "dsr/checkpoint/cold_file.hpp"
#include "dsr/comm/collectives.hpp"
#include "dsr/core/error.hpp"
#include "libdsr/checkpoint/copy_file.hpp"
#include "libdsr/checkpoint/mirror.hpp"

namespace dsr::detail {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

SaveReport report_for(SetToWrite const& set, TierPlace const& place) {
  SaveReport report;
  report.name = set.name;
  report.tier = place.tier;
  return report;
}

/// What is staged. If that is all bytes a writer that fails leaves them there: a slower tier may
/// want them.
class StagedBytes final : public PieceBytes {
 public:
  explicit StagedBytes(Staging& staging) : staging_(staging) {}
  std::span<std::byte const> take(std::size_t piece, Size at, Size most) override {
    return staging_.take(piece, at, most);
  }
  void give_back(std::size_t piece, Size at, Size bytes) override {
    staging_.give_back(piece, at, bytes);
  }
  void abandon() noexcept override {
    if (!staging_.whole()) staging_.abandon();
  }

 private:
  Staging& staging_;
};

}  // namespace

TierWriter::TierWriter(FileSystem& files, CheckpointOptions const& options, Nodes const& nodes,
                       Communicator group, Staging& staging, std::string mesh)
    : files_(files),
      options_(options),
      nodes_(nodes),
      group_(std::move(group)),
      staging_(staging),
      mesh_(std::move(mesh)),
      limit_(options.staging.limit_bytes_per_s) {}

std::vector<TierPlace> TierWriter::chosen(std::vector<Tier> const& tiers) const {
  std::vector<TierPlace> places = places_of(options_);
  std::erase_if(places, [&](TierPlace const& place) {
    bool const off = place.tier == Tier::hot && room_ == Room::none;
    return off || std::ranges::find(tiers, place.tier) == tiers.end();
  });
  return places;
}

void TierWriter::write(SetToWrite const& set, std::function<void(SaveReport)> const& tell) {
  source_.reset();
  for (TierPlace const& place : set.places) {
    SaveReport report = report_for(set, place);
    auto const begun = Clock::now();
    try {
      report = write_tier(set, place);
    } catch (std::exception const& error) {  // a dead group
      report.reason = error.what();
      report.write_s = seconds_since(begun);
    }
    // What a bound has kept is gone once a file was written or not: no step waits for room.
    if (!staging_.whole()) staging_.abandon();
    tell(report);
  }
}

/// Each step happens on all ranks or on none: what fails on one fails the set on all.
SaveReport TierWriter::write_tier(SetToWrite const& set, TierPlace const& place) {
  SaveReport report = report_for(set, place);
  auto const begun = Clock::now();
  std::string const directory = set_directory(place, set.name);
  Outcome outcome = make_set(place, directory);
  Files written;
  if (outcome.fine()) {
    written = write_files(set, place, directory);
    outcome = written.outcome;
  }
  if (outcome.fine() && place.tier == Tier::hot && options_.hot.partner == Partner::next)
    outcome = mirror(directory, written.reports);
  if (outcome.fine()) outcome = commit(set, place, directory, written.reports, report);
  report.acknowledged = outcome.fine();
  report.reason = outcome.text;
  report.write_s = seconds_since(begun);  // older sets are removed afterwards
  if (outcome.fine()) {
    if (place.tier != Tier::cold) source_ = Source{directory, own_};
    if (place.tier == Tier::hot) room_ = Room::enough;
    report.reason = prune_tier(place);
  } else if (place.tier == Tier::hot && outcome.kind == OutcomeKind::full) {
    report.reason += make_room(place, directory);
  }
  return report;
}

bool TierWriter::makes(TierPlace const& place) const {
  return acts_for(place, nodes_, group_.rank());
}

/// The directory, exclusively and durably.
Outcome TierWriter::make_set(TierPlace const& place, std::string const& directory) {
  return agreed(attempt([&] {
                  if (!makes(place)) return;
                  if (place.tier == Tier::hot && room_ == Room::was_full)
                    prune(files_, place.directory, 2);
                  if (!files_.make_directory(directory)) throw Error("it is there already");
                  files_.sync_directory(place.directory);
                }),
                group_);
}

TierWriter::Files TierWriter::write_files(SetToWrite const& set, TierPlace const& place,
                                          std::string const& directory) {
  Outcome mine = attempt([&] {
    if (!set.problem.empty()) throw Error(set.problem);
    own_ = write_file(place, directory);
  });
  if (!mine.fine()) mine.text.insert(0, "rank " + std::to_string(group_.rank()) + ": ");
  Outcome const outcome = agreed(mine, group_);
  if (!outcome.fine()) return {outcome, {}};
  return {outcome, gather_texts(to_text(own_), group_)};
}

/// From this rank's file in a faster tier, or from memory that still holds the state.
RankReport TierWriter::write_cold(std::string const& directory) {
  ColdOptions const options{
      .content = options_.cold.content,
      .dtype = options_.cold.content == ColdContent::all ? DType::f32 : options_.cold.dtype,
      .level = options_.cold.level,
      .write = {.threads = options_.staging.threads, .limit = &limit_}};
  if (source_) {
    StoredPieces stored{files_, source_->directory, source_->report, options.content};
    return write_cold_file(files_, directory, group_.rank(), stored.pieces(), stored, options);
  }
  StagedBytes staged{staging_};
  return write_cold_file(files_, directory, group_.rank(), staging_.pieces(), staged, options);
}

/// From the faster tier if the set is there, else from memory that still holds it.
RankReport TierWriter::write_file(TierPlace const& place, std::string const& directory) {
  if (place.tier == Tier::cold) return write_cold(directory);
  WriteOptions const options{.threads = options_.staging.threads, .limit = &limit_};
  if (source_) {
    copy_file(files_, source_->directory, directory, source_->report.file, &limit_);
    files_.sync_directory(directory);
    return source_->report;
  }
  StagedBytes staged{staging_};
  return write_rank_file(files_, directory, group_.rank(), staging_.pieces(), staged, options);
}

Outcome TierWriter::mirror(std::string const& directory, std::vector<std::string> const& reports) {
  std::vector<StoredFile> stored;
  for (std::string const& report : reports) stored.push_back(parse_report(report).file);
  return agreed(mirror_files(files_, directory, stored, nodes_, group_), group_);
}

}  // namespace dsr::detail
