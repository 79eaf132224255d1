// SPDX-License-Identifier: Apache-2.0
#pragma once
/// A job that saves to three tiers, its ranks dealt to emulated nodes, for tests of tiers.
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/small_state.hpp"
#include "dsr/checkpoint/checkpointer.hpp"
#include "dsr/comm/collectives.hpp"
#include "support/catch.hpp"
#include "support/node_files.hpp"
#include "support/ranks.hpp"
#include "support/shared_directory.hpp"

namespace dsr::test {

/// Work of rank 0 that all others see done.
template <class Work>
void on_first(Work&& work) {
  wait_for_all(runtime().world());
  if (runtime().rank() == 0) work();
  wait_for_all(runtime().world());
}

inline int half_of_ranks() { return runtime().rank() * 2 / runtime().size(); }

/// One start of the run.
struct TiersJob {
  explicit TiersJob(SharedDirectory const& place, MeshShape shape = {.dp = runtime().size()},
                    Partner partner = Partner::none, int node = half_of_ranks())
      : root(place.path()),
        mesh(runtime(), shape),
        files(system_files(), root + "/hot", node),
        small(mesh, 24),
        options{.hot = {.directory = root + "/hot", .partner = partner},
                .warm = {.directory = root + "/warm"},
                .cold = {.directory = root + "/cold", .content = ColdContent::all},
                .node = node} {}
  void start(FileSystem& used) { checkpointer.emplace(runtime(), mesh, used, options); }
  void start() { start(files); }

  /// The reports of one save.
  std::vector<SaveReport> save(Size step, std::vector<Tier> tiers) {
    small.become(step);
    REQUIRE(checkpointer->save(small.state(), step, std::move(tiers)));
    std::vector<SaveReport> reports;
    while (auto const report = checkpointer->wait()) reports.push_back(*report);
    wait_for_all(runtime().world());
    return reports;
  }
  void save_well(Size step, std::vector<Tier> tiers) {
    for (SaveReport const& report : save(step, std::move(tiers))) {
      INFO(name_of(report.tier) << ": " << report.reason);
      REQUIRE(report.acknowledged);
    }
  }
  std::optional<ResumedSet> load() {
    small.become(999);
    auto resumed = checkpointer->load(small.state());
    wait_for_all(runtime().world());
    return resumed;
  }

  std::string root;
  Mesh mesh;
  NodeFiles files;
  SmallState small;
  CheckpointOptions options;
  std::optional<Checkpointer> checkpointer;
};

}  // namespace dsr::test
