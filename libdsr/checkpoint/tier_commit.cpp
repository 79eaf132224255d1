// SPDX-License-Identifier: Apache-2.0
// The half of TierWriter that makes a set whose files are written one that counts.
#include <chrono>
#include <utility>

#include "dsr/checkpoint/container.hpp"
#include "dsr/comm/collectives.hpp"
#include "dsr/core/version.hpp"
#include "libdsr/checkpoint/tier_writer.hpp"

namespace dsr::detail {
namespace {

double unix_now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace

/// On rank 0: what a set is before it may be committed.
Manifest TierWriter::manifest_of(SetToWrite const& set, TierPlace const& place,
                                 std::string const& directory,
                                 std::vector<std::string> const& reports) {
  std::vector<RankReport> parsed;
  for (std::string const& report : reports) parsed.push_back(parse_report(report));
  Manifest manifest = merge_reports(parsed);
  manifest.step = set.name.step;
  manifest.generation = set.name.generation;
  manifest.run_id = options_.run_id;
  manifest.mesh = mesh_;
  manifest.saved_unix = unix_now();
  manifest.state = set.texts;
  manifest.versions["dsr"] = version();
  if (place.tier != Tier::hot) {
    manifest.files.push_back(write_view(files_, directory, manifest));
    files_.sync_directory(directory);  // a manifest must not outlive a file that it lists
  }
  return manifest;
}

/// One text, made by rank 0 and committed by all that act for a disk.
Outcome TierWriter::commit(SetToWrite const& set, TierPlace const& place,
                           std::string const& directory, std::vector<std::string> const& reports,
                           SaveReport& report) {
  std::string text;
  Outcome outcome = agreed(attempt([&] {
                             if (group_.rank() != 0) return;
                             Manifest const manifest = manifest_of(set, place, directory, reports);
                             for (StoredFile const& file : manifest.files)
                               report.bytes += file.bytes;
                             report.content_hash = content_hash(manifest);
                             text = to_text(manifest);
                             if (options_.before_commit) options_.before_commit();
                           }),
                           group_);
  if (!outcome.fine()) return outcome;
  report.bytes = std::stoll(broadcast_text(std::to_string(report.bytes), 0, group_));
  report.content_hash = broadcast_text(report.content_hash, 0, group_);
  if (place.tier == Tier::hot) text = broadcast_text(std::move(text), 0, group_);
  return agreed(attempt([&] {
                  if (makes(place)) commit_manifest_text(files_, directory, text);
                }),
                group_);
}

/// The new set is safe; what could not be removed is tried again after the next one.
std::string TierWriter::prune_tier(TierPlace const& place) {
  if (place.keep == 0) return {};
  Outcome const outcome = agreed(attempt([&] {
                                   if (makes(place)) prune(files_, place.directory, place.keep);
                                 }),
                                 group_);
  return outcome.fine() ? std::string{} : "older sets were not removed: " + outcome.text;
}

/// What did not fit goes, as it is nobody's and takes the room that the next set needs.
std::string TierWriter::make_room(TierPlace const& place, std::string const& directory) {
  Outcome const outcome = agreed(attempt([&] {
                                   if (makes(place) && files_.exists(directory))
                                     discard(files_, directory);
                                 }),
                                 group_);
  bool const again = room_ == Room::enough;
  room_ = again ? Room::was_full : Room::none;
  std::string text = again ? "; the hot tier is full, the next save there first prunes to two sets"
                           : "; the hot tier stays full, sets go to slower tiers from now on";
  if (!outcome.fine()) text += "; what did not fit was not removed: " + outcome.text;
  return text;
}

}  // namespace dsr::detail
