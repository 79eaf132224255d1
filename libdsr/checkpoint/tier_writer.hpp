// SPDX-License-Identifier: Apache-2.0
#pragma once
/// TierWriter: what the writing threads of all ranks do with a staged state. It goes into the
/// fastest tier that was asked for and from there into the slower ones, each file by the rank that
/// has it.
///
///     TierWriter writer{files, options, nodes, group, staging, mesh};
///     SetToWrite set{.name = {1200, 2}, .places = writer.chosen({Tier::hot, Tier::warm})};
///     writer.write(set, [&](SaveReport report) { … });          // once for each tier
///
/// A hot tier that is full: the set that did not fit is removed, the next hot save first prunes to
/// two sets, and if that does not fit either the tier is off from then on.
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "dsr/checkpoint/checkpoint_options.hpp"
#include "dsr/checkpoint/checkpoint_report.hpp"
#include "dsr/checkpoint/manifest.hpp"
#include "dsr/checkpoint/staging.hpp"
#include "dsr/comm/communicator.hpp"
#include "libdsr/checkpoint/nodes.hpp"
#include "libdsr/checkpoint/outcome.hpp"
#include "libdsr/checkpoint/tier_place.hpp"

namespace dsr::detail {

struct SetToWrite {
  SetName name;
  std::map<std::string, std::string> texts = {};
  std::string problem = {};  ///< why this rank has nothing staged
  std::vector<TierPlace> places;
};

/// Neither copies nor moves. `group` is the writing threads' alone; all else outlives it.
class TierWriter {
 public:
  TierWriter(FileSystem& files, CheckpointOptions const& options, Nodes const& nodes,
             Communicator group, Staging& staging, std::string mesh);
  TierWriter(TierWriter const&) = delete;
  TierWriter& operator=(TierWriter const&) = delete;

  /// Those of the tiers that are on, the fastest first. Not while write() runs.
  std::vector<TierPlace> chosen(std::vector<Tier> const& tiers) const;
  /// Collective; does not throw.
  void write(SetToWrite const& set, std::function<void(SaveReport)> const& tell);

 private:
  enum class Room : std::uint8_t { enough, was_full, none };
  /// The set in a faster tier, and this rank's file in it.
  struct Source {
    std::string directory;
    RankReport report;
  };
  struct Files {
    Outcome outcome;
    std::vector<std::string> reports;
  };
  SaveReport write_tier(SetToWrite const& set, TierPlace const& place);
  bool makes(TierPlace const& place) const;
  Outcome make_set(TierPlace const& place, std::string const& directory);
  Files write_files(SetToWrite const& set, TierPlace const& place, std::string const& directory);
  RankReport write_file(TierPlace const& place, std::string const& directory);
  RankReport write_cold(std::string const& directory);
  Outcome mirror(std::string const& directory, std::vector<std::string> const& reports);
  Manifest manifest_of(SetToWrite const& set, TierPlace const& place,
                       std::string const& directory, std::vector<std::string> const& reports);
  Outcome commit(SetToWrite const& set, TierPlace const& place, std::string const& directory,
                 std::vector<std::string> const& reports, SaveReport& report);
  std::string prune_tier(TierPlace const& place);
  std::string make_room(TierPlace const& place, std::string const& directory);

  FileSystem& files_;
  CheckpointOptions const& options_;
  Nodes const& nodes_;
  Communicator group_;
  Staging& staging_;
  std::string mesh_;
  RateLimit limit_;
  Room room_ = Room::enough;
  RankReport own_;
  std::optional<Source> source_;
};

}  // namespace dsr::detail
