// SPDX-License-Identifier: Apache-2.0
#include "libdsr/checkpoint/candidates.hpp"

#include <algorithm>
#include <sstream>

#include "dsr/checkpoint/hash.hpp"
#include "dsr/comm/agree.hpp"
#include "dsr/comm/collectives.hpp"
#include "dsr/core/error.hpp"
#include "libdsr/checkpoint/outcome.hpp"

namespace dsr::detail {
namespace {

void rename_aside(FileSystem& files, std::string const& directory) {
  std::string const parent = parent_directory(directory);
  files.rename(directory, parent + "/" + kCorruptPrefix + directory.substr(parent.size() + 1));
  files.sync_directory(parent);
}

/// The name and the hash of a hot set's manifest; of a set that is not committed, nothing.
std::string hot_line(JobFiles const& job, TierPlace const& place, std::string const& name,
                     std::string& warnings) {
  std::string const directory = place.directory + "/" + name;
  try {
    if (!job.files.exists(directory + "/" + kManifestName)) return {};
    std::string const text = to_text(read_manifest(job.files, directory));
    return name + " " + hash_text(std::as_bytes(std::span{text}));
  } catch (Error const& error) {
    warnings += "checkpoint hot/" + name + " is not used: " + error.what() + "\n";
  }
  Outcome const renamed = attempt([&] { rename_aside(job.files, directory); });
  if (!renamed.fine()) warnings += renamed.text + "\n";
  return {};
}

/// A line for each committed set of a tier, as this rank sees it.
std::string lines_of(JobFiles const& job, TierPlace const& place, std::string& warnings) {
  std::string lines;
  for (DirectoryEntry const& entry : job.files.list(place.directory)) {
    if (entry.kind != EntryKind::directory || !parse_set_name(entry.name)) continue;
    std::string line;
    if (place.tier == Tier::hot)
      line = hot_line(job, place, entry.name, warnings);
    else if (job.files.exists(place.directory + "/" + entry.name + "/" + kManifestName))
      line = entry.name + " -";
    if (!line.empty()) lines += line + "\n";
  }
  return lines;
}

/// Adds what one rank sees.
void add_lines(TierPlace const& place, int rank, std::string const& lines,
               std::vector<Candidate>& found) {
  std::istringstream text{lines};
  for (std::string name, hash; text >> name >> hash;) {
    auto const set = parse_set_name(name);
    auto const same_name = [&](Candidate const& other) {
      return other.place.tier == place.tier && other.name == *set;
    };
    bool known = false;
    std::vector<int> others;
    for (Candidate& other : found) {
      if (!same_name(other)) continue;
      if (other.hash == hash) {
        known = true;
      } else {
        other.others.push_back(rank);
        others.push_back(other.holder);
      }
    }
    if (!known) found.push_back({place, *set, hash, rank, others});
  }
}

}  // namespace

std::string text_of(Candidate const& candidate) {
  return std::string{name_of(candidate.place.tier)} + "/" + to_string(candidate.name);
}

std::vector<Candidate> list_candidates(JobFiles const& job, std::vector<TierPlace> const& places) {
  std::vector<Candidate> found;
  for (TierPlace const& place : places) {
    std::string lines, warnings;
    auto const list = [&] {
      if (job.acts(place)) lines = lines_of(job, place, warnings);
    };
    if (place.tier == Tier::hot) {
      // A node whose disk is broken has nothing; others may have its files.
      Outcome const listed = attempt(list);
      if (!listed.fine()) warnings += listed.text + "\n";
    } else {
      agree(job.world(), list);
    }
    std::vector<std::string> const all = gather_texts(lines, job.world());
    for (std::size_t rank = 0; rank < all.size(); ++rank)
      add_lines(place, static_cast<int>(rank), all[rank], found);
    for (std::string const& text : gather_texts(warnings, job.world())) {
      std::istringstream each{text};
      for (std::string line; std::getline(each, line);)
        if (job.runtime.rank() == 0) job.runtime.log().warn(line);
    }
  }
  std::ranges::stable_sort(found, [](Candidate const& a, Candidate const& b) {
    return a.name != b.name ? a.name > b.name : a.place.tier < b.place.tier;
  });
  return found;
}

void set_aside(JobFiles const& job, Candidate const& candidate, std::string const& reason) {
  Log const& log = job.runtime.log();
  bool const first = job.runtime.rank() == 0;
  if (first) log.warn("checkpoint " + text_of(candidate) + " is not used: " + reason);
  Outcome const renamed =
      agreed(attempt([&] {
               std::string const directory = candidate.directory();
               bool const other = std::ranges::find(candidate.others, job.runtime.rank()) !=
                                  candidate.others.end();
               if (job.acts(candidate.place) && !other && job.files.exists(directory))
                 rename_aside(job.files, directory);
             }),
             job.world());
  if (first && !renamed.fine()) log.warn(renamed.text);
}

}  // namespace dsr::detail
