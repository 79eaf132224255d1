// SPDX-License-Identifier: Apache-2.0
#include "libdsr/checkpoint/pool.hpp"

#include <algorithm>
#include <set>
#include <sstream>

#include "dsr/comm/collectives.hpp"
#include "dsr/core/error.hpp"
#include "libdsr/checkpoint/file_transfer.hpp"

namespace dsr::detail {
namespace {

/// By node, then file.
using Table = std::vector<std::vector<bool>>;

std::string digits(std::vector<bool> const& values) {
  std::string text;
  for (bool const value : values) text += value ? '1' : '0';
  return text;
}

/// A row for each node: true where one of its ranks says so.
Table gather_rows(JobFiles const& job, std::vector<bool> const& mine) {
  Table table(static_cast<std::size_t>(job.nodes.count()), std::vector<bool>(mine.size(), false));
  std::vector<std::string> const all = gather_texts(digits(mine), job.world());
  for (std::size_t rank = 0; rank < all.size(); ++rank) {
    auto& row = table[static_cast<std::size_t>(job.nodes.of(static_cast<int>(rank)))];
    for (std::size_t file = 0; file < row.size(); ++file)
      if (all[rank][file] == '1') row[file] = true;
  }
  return table;
}

bool is_whole(FileSystem& files, std::string const& path, Size bytes) {
  try {
    return files.exists(path) && files.open(path)->size() == bytes;
  } catch (IoError const&) {
    return false;
  }
}

/// What lies on this node; only the rank that acts for it looks.
std::vector<bool> present(JobFiles const& job, Candidate const& candidate,
                          Manifest const& manifest) {
  std::vector<bool> found(manifest.files.size(), false);
  bool const other =
      std::ranges::find(candidate.others, job.runtime.rank()) != candidate.others.end();
  if (!job.acts(candidate.place) || other) return found;
  for (std::size_t i = 0; i < found.size(); ++i) {
    StoredFile const& file = manifest.files[i];
    found[i] = is_whole(job.files, candidate.directory() + "/" + file.name, file.bytes);
  }
  return found;
}

int lowest_with(Table const& have, std::size_t file) {
  for (std::size_t node = 0; node < have.size(); ++node)
    if (have[node][file]) return static_cast<int>(node);
  return -1;
}

void remove_if_there(FileSystem& files, std::string const& path) {
  if (files.exists(path)) files.remove_file(path);
}

/// Under another name until it is whole: a file of the right size and name counts as present, and a
/// process may die meanwhile.
void receive_whole(JobFiles const& job, Candidate const& candidate, StoredFile const& file,
                   int from) {
  std::string const directory = candidate.directory();
  StoredFile part = file;
  part.name += ".part";
  std::string const path = directory + "/" + part.name;
  // If this fails, receive_file fails too, after all its messages.
  Outcome const made = attempt([&] {
    make_directories(job.files, directory);
    remove_if_there(job.files, path);
    remove_if_there(job.files, directory + "/" + file.name);
  });
  try {
    receive_file(job.files, directory, part, from, job.world());
    if (!made.fine()) throw IoError(made.text);
    job.files.rename(path, directory + "/" + file.name);
  } catch (Error const&) {
    attempt([&] { remove_if_there(job.files, path); });  // its room is wanted
    throw;
  }
}

/// One file from a node to those that need and lack it, between the ranks that act for them.
void move_file(JobFiles const& job, Candidate const& candidate, StoredFile const& file, int from,
               std::vector<int> const& to) {
  int const rank = job.runtime.rank();
  std::vector<int> receivers;
  for (int const node : to) receivers.push_back(job.nodes.leader(node));
  if (rank == job.nodes.leader(from))
    return send_file(job.files, candidate.directory(), file, receivers, job.world());
  if (std::ranges::find(receivers, rank) != receivers.end())
    receive_whole(job, candidate, file, job.nodes.leader(from));
}

Outcome move_files(JobFiles const& job, Candidate const& candidate, Manifest const& manifest,
                   std::string const& text, Table const& have, Table const& need) {
  Outcome mine;
  bool received = false;
  for (std::size_t i = 0; i < manifest.files.size(); ++i) {
    std::vector<int> to;
    for (std::size_t node = 0; node < need.size(); ++node)
      if (need[node][i] && !have[node][i]) to.push_back(static_cast<int>(node));
    if (to.empty()) continue;
    Outcome const moved =
        attempt([&] { move_file(job, candidate, manifest.files[i], lowest_with(have, i), to); });
    if (mine.fine()) mine = moved;
    received = received || std::ranges::find(to, job.nodes.of(job.runtime.rank())) != to.end();
  }
  if (mine.fine() && received && job.acts(candidate.place)) {
    mine = attempt([&] {
      std::string const directory = candidate.directory();
      job.files.sync_directory(directory);
      if (!job.files.exists(directory + "/" + kManifestName))
        commit_manifest_text(job.files, directory, text);
    });
  }
  return agreed(mine, job.world());
}

}  // namespace

Pooled pool_files(JobFiles const& job, Candidate const& candidate, Manifest const& manifest,
                  std::string const& text, std::vector<bool> const& needed) {
  Table const have = gather_rows(job, present(job, candidate, manifest));
  Table const need = gather_rows(job, needed);
  for (std::size_t i = 0; i < manifest.files.size(); ++i) {
    if (lowest_with(have, i) < 0)
      return {{manifest.files[i].name + " missing on every node", OutcomeKind::corrupt}, {}};
  }
  Pooled pooled{move_files(job, candidate, manifest, text, have, need), {}};
  int const node = job.nodes.of(job.runtime.rank());
  auto const& mine = need[static_cast<std::size_t>(node)];
  for (std::size_t i = 0; i < mine.size(); ++i)
    pooled.mine.push_back(mine[i] || lowest_with(have, i) == node);
  return pooled;
}

bool drop_damaged(JobFiles const& job, Candidate const& candidate,
                  std::vector<Fault> const& faults) {
  std::string names;
  for (Fault const& fault : faults) names += fault.file + "\n";
  std::vector<std::string> const all = gather_texts(names, job.world());
  std::set<std::string> damaged;
  for (std::size_t rank = 0; rank < all.size(); ++rank) {
    std::istringstream lines{all[rank]};
    bool const ours = job.nodes.of(static_cast<int>(rank)) == job.nodes.of(job.runtime.rank());
    for (std::string name; ours && std::getline(lines, name);) damaged.insert(name);
  }
  Outcome const renamed =
      agreed(attempt([&] {
               if (!job.acts(candidate.place)) return;
               for (std::string const& name : damaged)
                 job.files.rename(candidate.directory() + "/" + name,
                                  candidate.directory() + "/" + kCorruptPrefix + name);
             }),
             job.world());
  bool const any = std::ranges::any_of(all, [](std::string const& text) { return !text.empty(); });
  return any && renamed.fine();
}

}  // namespace dsr::detail
