// SPDX-License-Identifier: Apache-2.0
#include "dsr/checkpoint/sets.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <tuple>

#include "dsr/core/error.hpp"

namespace dsr {
namespace {

constexpr std::string_view kStepPrefix = "step_";
constexpr std::string_view kGenerationPrefix = ".g";
constexpr std::size_t kStepDigits = 9, kGenerationDigits = 3;
/// What sets that are set aside are called.
constexpr std::array<std::string_view, 3> kAside{"abandoned.", "corrupt.", "trash."};
constexpr std::string_view kOldPrefix = "old";  // old.g002/

/// Exactly `digits` digits.
std::optional<Size> number(std::string_view text, std::size_t digits) {
  if (text.size() != digits || text.front() == '-') return std::nullopt;
  Size value = 0;
  auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string padded(Size value, std::size_t digits) {
  std::string const text = std::to_string(value);
  return std::string(digits - std::min(digits, text.size()), '0') + text;
}

std::string_view without_slashes(std::string_view path) {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  return path;
}

std::string_view last_part(std::string_view path) {
  path = without_slashes(path);
  std::size_t const slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

/// The settings' defaults have other names on disk than the tiers.
std::string tier_name(std::string_view directory) {
  std::string_view const name = last_part(directory);
  if (name == "checkpoints") return "warm";
  if (name == "final") return "cold";
  return std::string{name.empty() || name == "." ? "-" : name};
}

FoundSet look_at(FileSystem& files, std::string const& directory) {
  FoundSet set{.tier = tier_name(parent_directory(directory)), .directory = directory};
  set.name = parse_set_name(last_part(directory)).value_or(SetName{});
  try {
    if (!files.exists(directory + "/" + kManifestName)) return set;
    set.manifest = read_manifest(files, directory);
    set.name = {set.manifest->step, set.manifest->generation};
    set.committed = true;
  } catch (Error const& error) {
    set.reason = error.what();
  }
  return set;
}

/// The sets that are entries of a directory.
void add_sets_of(FileSystem& files, std::string const& tier, std::vector<FoundSet>& sets) {
  for (DirectoryEntry const& entry : files.list(tier)) {
    if (entry.kind == EntryKind::directory && parse_set_name(entry.name))
      sets.push_back(look_at(files, tier + "/" + entry.name));
  }
}

/// "old.g002", in which a run that was begun anew puts sets.
bool is_old(std::string_view name) {
  std::size_t const prefix = kOldPrefix.size() + kGenerationPrefix.size();
  return name.starts_with(kOldPrefix) && name.size() == prefix + kGenerationDigits &&
         name.substr(kOldPrefix.size()).starts_with(kGenerationPrefix) &&
         number(name.substr(prefix), kGenerationDigits);
}

void sort_sets(std::vector<FoundSet>& sets) {
  std::ranges::stable_sort(sets, [](FoundSet const& a, FoundSet const& b) {
    return std::tie(a.name, a.tier) < std::tie(b.name, b.tier);
  });
}

/// Directories below `path` that may be tiers. A link may lead to one.
std::vector<std::string> tiers_below(FileSystem& files, std::string const& path) {
  std::vector<std::string> found;
  for (DirectoryEntry const& entry : files.list(path)) {
    bool const aside = std::ranges::any_of(
        kAside, [&](std::string_view prefix) { return entry.name.starts_with(prefix); });
    if (entry.kind == EntryKind::file || parse_set_name(entry.name) || aside || is_old(entry.name))
      continue;
    found.push_back(path + "/" + entry.name);
  }
  return found;
}

/// The generation that a name in a tier or a run mentions; 0 if it mentions none.
int generation_of(std::string_view name) {
  for (std::string_view const prefix : kAside) {
    if (name.starts_with(prefix)) name.remove_prefix(prefix.size());
  }
  if (auto const set = parse_set_name(name)) return set->generation;
  if (name.starts_with(kOldPrefix)) name.remove_prefix(kOldPrefix.size());
  if (!name.starts_with(kGenerationPrefix)) return 0;
  name.remove_prefix(kGenerationPrefix.size());
  return static_cast<int>(number(name, kGenerationDigits).value_or(0));
}

int newest_generation(FileSystem& files, std::string const& directory) {
  int newest = 0;
  for (DirectoryEntry const& entry : files.list(directory))
    newest = std::max(newest, generation_of(entry.name));
  return newest;
}

}  // namespace

std::string to_string(SetName name) {
  if (name.step < 0 || name.step > kMostSteps) {
    throw InvalidArgument(
        problem("step of a set", std::to_string(name.step), "0 to " + std::to_string(kMostSteps)));
  }
  if (name.generation < 0 || name.generation > kMostGenerations) {
    throw InvalidArgument(problem("generation of a set", std::to_string(name.generation),
                                  "0 to " + std::to_string(kMostGenerations)));
  }
  return std::string{kStepPrefix} + padded(name.step, kStepDigits) +
         std::string{kGenerationPrefix} + padded(name.generation, kGenerationDigits);
}

std::optional<SetName> parse_set_name(std::string_view name) {
  std::size_t const dot = kStepPrefix.size() + kStepDigits;
  std::size_t const generation_at = dot + kGenerationPrefix.size();
  if (name.size() != generation_at + kGenerationDigits || !name.starts_with(kStepPrefix) ||
      name.substr(dot, kGenerationPrefix.size()) != kGenerationPrefix)
    return std::nullopt;
  auto const step = number(name.substr(kStepPrefix.size(), kStepDigits), kStepDigits);
  auto const generation = number(name.substr(generation_at), kGenerationDigits);
  if (!step || !generation) return std::nullopt;
  return SetName{*step, static_cast<int>(*generation)};
}

Manifest read_manifest(FileSystem& files, std::string const& directory) {
  std::string const path = directory + "/" + kManifestName;
  Manifest manifest = parse_manifest(read_text(files, path, kManifestMost_bytes), path);
  SetName const name{manifest.step, manifest.generation};
  // A directory that a user has called otherwise says nothing about its content.
  auto const expected = parse_set_name(last_part(directory));
  if (expected && *expected != name)
    throw CorruptData(problem(path, "the manifest of " + to_string(name), to_string(*expected)));
  return manifest;
}

std::vector<FoundSet> find_sets(FileSystem& files, std::string const& path) {
  std::string const root{without_slashes(path)};
  std::vector<FoundSet> sets;
  if (parse_set_name(last_part(root)) || files.exists(root + "/" + kManifestName)) {
    if (!files.exists(root)) files.list(root);  // throws what the system says
    sets.push_back(look_at(files, root));
    return sets;
  }
  add_sets_of(files, root, sets);
  for (std::string const& tier : tiers_below(files, root)) {
    try {
      add_sets_of(files, tier, sets);
    } catch (IoError const&) {  // not a directory, or not ours to look into
      continue;
    }
  }
  sort_sets(sets);
  return sets;
}

std::vector<FoundSet> sets_of_tier(FileSystem& files, std::string const& tier) {
  std::vector<FoundSet> sets;
  add_sets_of(files, std::string{without_slashes(tier)}, sets);
  sort_sets(sets);
  return sets;
}

int next_generation(FileSystem& files, std::string const& path) {
  std::string const root{without_slashes(path)};
  int newest = newest_generation(files, root);
  for (std::string const& tier : tiers_below(files, root)) {
    try {
      newest = std::max(newest, newest_generation(files, tier));
    } catch (IoError const&) {  // a pipe, a dangling link
      continue;
    }
  }
  return newest + 1;
}

}  // namespace dsr
