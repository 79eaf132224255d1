// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Sets written by the functions of the protocol, without a Checkpointer and without ranks, and
/// what must hold of them after any crash. A set's step is in every element of it.
#include <algorithm>
#include <string>
#include <vector>

#include "dsr/checkpoint/container.hpp"
#include "dsr/checkpoint/rank_file.hpp"
#include "dsr/checkpoint/sets.hpp"
#include "dsr/core/error.hpp"

namespace dsr::test {

/// One file, in the order of the protocol, of one node's half of a tensor whose elements are all
/// the step.
inline RankReport write_half(FileSystem& files, std::string const& set, int node, Size step) {
  std::vector<float> const values(3, static_cast<float>(step));
  return write_rank_file(
      files, set, node,
      {{"model/w", {6}, DType::f32, {{3 * node}, {3}}, std::as_bytes(std::span{values})}});
}

/// What a Checkpointer does on two nodes; returns if the set is acknowledged, and throws if not.
inline void save_set(std::vector<FileSystem*> const& nodes, std::string const& tier, SetName name) {
  FileSystem& first = *nodes[0];
  std::string const set = tier + "/" + to_string(name);
  make_directories(first, tier);
  if (!first.make_directory(set)) throw IoError("there already");
  first.sync_directory(tier);
  std::vector<RankReport> reports;
  for (std::size_t node = 0; node < nodes.size(); ++node)
    reports.push_back(write_half(*nodes[node], set, static_cast<int>(node), name.step));
  Manifest manifest = merge_reports(reports);
  manifest.step = name.step;
  manifest.generation = name.generation;
  manifest.run_id = "small";
  manifest.files.push_back(write_view(first, set, manifest));
  first.sync_directory(set);
  commit_manifest(first, set, manifest);
}

inline bool whole(FileSystem& files, FoundSet const& set) {
  if (!set.reason.empty()) return false;
  if (!set.committed) return true;
  if (!verify_set(files, set.directory, *set.manifest).empty()) return false;
  std::vector<float> w(6);
  read_part(files, set.directory, *set.manifest, set.manifest->tensors[0], {{0}, {6}},
            std::as_writable_bytes(std::span{w}));
  return w == std::vector<float>(6, static_cast<float>(set.name.step));
}

/// No committed set is torn; the acknowledged ones are there, or at least two newer ones are.
inline bool holds(FileSystem& files, std::string const& tier,
                  std::vector<Size> const& acknowledged) {
  std::vector<Size> committed;
  if (files.exists(tier)) {
    for (FoundSet const& set : sets_of_tier(files, tier)) {
      if (!whole(files, set)) return false;
      if (set.committed) committed.push_back(set.name.step);
    }
  }
  return std::ranges::all_of(acknowledged, [&](Size step) {
    return std::ranges::count(committed, step) > 0 ||
           std::ranges::count_if(committed, [&](Size other) { return other > step; }) >= 2;
  });
}

}  // namespace dsr::test
