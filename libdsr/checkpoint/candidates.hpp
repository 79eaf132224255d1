// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Candidates: the committed sets that a run may go on from, over all tiers of all nodes.
///
///     for (Candidate const& candidate : list_candidates(job, places_of(options)))
///       if (!usable(candidate)) reject(job, candidate, reason);
#include <string>
#include <vector>

#include "dsr/comm/runtime.hpp"
#include "dsr/io/file_system.hpp"
#include "libdsr/checkpoint/nodes.hpp"
#include "libdsr/checkpoint/tier_place.hpp"

namespace dsr::detail {

/// What sets and files are called that did not have the hash of their manifest.
inline constexpr char const* kCorruptPrefix = "corrupt.";

/// What loading acts on; all of it outlives this.
struct JobFiles {
  Runtime& runtime;
  FileSystem& files;
  Nodes const& nodes;
  Communicator& world() const { return runtime.world(); }
  bool acts(TierPlace const& place) const { return acts_for(place, nodes, runtime.rank()); }
};

struct Candidate {
  TierPlace place;
  SetName name;
  std::string hash;         ///< of the manifest's text, in the hot tier: a node may have another
  int holder = 0;           ///< the lowest rank that sees this manifest
  std::vector<int> others;  ///< ranks whose node has another manifest under this name
  std::string directory() const { return set_directory(place, name); }
};

/// The same on all ranks: newest first by (step, generation), then hot, warm, cold. Manifests in
/// the hot tier that cannot be believed are set aside. Collective. Throws AgreedError if a
/// directory that all nodes share cannot be listed.
std::vector<Candidate> list_candidates(JobFiles const& job, std::vector<TierPlace> const& places);

/// One warning; with it the set becomes corrupt.<name> on every disk that has it. Collective.
void set_aside(JobFiles const& job, Candidate const& candidate, std::string const& reason);

/// "warm/step_000001200.g002".
std::string text_of(Candidate const& candidate);

}  // namespace dsr::detail
