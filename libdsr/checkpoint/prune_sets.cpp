// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "dsr/checkpoint/sets.hpp"
#include "dsr/core/error.hpp"

namespace dsr {
namespace {

constexpr std::string_view kTrashPrefix = "trash.";
constexpr std::string_view kAbandonedPrefix = "abandoned.";
/// Nothing is removed before as many newer sets are committed.
constexpr int kLeastKept = 2;

/// Links are unlinked, never followed.
void remove_tree(FileSystem& files, std::string const& directory) {
  for (DirectoryEntry const& entry : files.list(directory)) {
    std::string const path = directory + "/" + entry.name;
    if (entry.kind == EntryKind::directory)
      remove_tree(files, path);
    else
      files.remove_file(path);
  }
  files.remove_directory(directory);
}

void remove_trash(FileSystem& files, std::string const& tier) {
  for (DirectoryEntry const& entry : files.list(tier)) {
    bool const ours = entry.name.starts_with(kTrashPrefix) &&
                      parse_set_name(std::string_view{entry.name}.substr(kTrashPrefix.size()));
    if (ours && entry.kind == EntryKind::directory) remove_tree(files, tier + "/" + entry.name);
  }
}

/// Renames a set within its tier; the tier's directory is synced afterwards by the caller.
void set_aside(FileSystem& files, FoundSet const& set, std::string_view prefix) {
  std::string const tier = parent_directory(set.directory);
  files.rename(set.directory, tier + "/" + std::string{prefix} + to_string(set.name));
}

}  // namespace

std::vector<FoundSet> prunable(FileSystem& files, std::string const& tier, int keep) {
  if (keep < kLeastKept)
    throw InvalidArgument(problem("sets to keep", std::to_string(keep), "at least 2"));
  std::vector<FoundSet> const sets = sets_of_tier(files, tier);
  std::vector<FoundSet> removed;
  int newer = 0;
  for (std::size_t i = sets.size(); i-- > 0;) {
    if (newer >= (sets[i].committed ? keep : kLeastKept)) removed.push_back(sets[i]);
    newer += sets[i].committed ? 1 : 0;
  }
  std::ranges::reverse(removed);
  return removed;
}

void prune(FileSystem& files, std::string const& tier, int keep) {
  std::vector<FoundSet> const sets = prunable(files, tier, keep);
  // Trash of a crash goes first: it may have the name that a set is about to get.
  remove_trash(files, tier);
  for (FoundSet const& set : sets) set_aside(files, set, kTrashPrefix);
  // Durable before anything inside goes: a set that is called one must be whole, or a crash would
  // leave a manifest whose files are gone.
  if (!sets.empty()) files.sync_directory(tier);
  remove_trash(files, tier);
}

void discard(FileSystem& files, std::string const& directory) {
  std::string const tier = parent_directory(directory);
  remove_trash(files, tier);
  files.rename(directory,
               tier + "/" + std::string{kTrashPrefix} + directory.substr(tier.size() + 1));
  files.sync_directory(tier);
  remove_trash(files, tier);
}

std::vector<FoundSet> rollback(FileSystem& files, std::string const& run, Size step) {
  std::vector<FoundSet> const sets = find_sets(files, run);
  bool const there = std::ranges::any_of(
      sets, [&](FoundSet const& set) { return set.committed && set.name.step == step; });
  if (!there) {
    std::string steps;
    for (FoundSet const& set : sets) {
      if (set.committed) steps += (steps.empty() ? "" : ", ") + std::to_string(set.name.step);
    }
    throw InvalidArgument(problem("step to roll " + run + " back to", std::to_string(step),
                                  steps.empty() ? "none: there is no committed set" : steps));
  }
  std::vector<FoundSet> later;
  std::ranges::copy_if(sets, std::back_inserter(later),
                       [&](FoundSet const& set) { return set.name.step > step; });
  // The newest first: a crash in between leaves a run that was rolled back less far.
  for (std::size_t i = later.size(); i-- > 0;) {
    set_aside(files, later[i], kAbandonedPrefix);
    files.sync_directory(parent_directory(later[i].directory));
  }
  return later;
}

}  // namespace dsr
