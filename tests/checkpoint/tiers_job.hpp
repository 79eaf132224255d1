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

namespace dsr::test {

/// A directory that all ranks know, removed at the end.
class JobDirectory {
 public:
  JobDirectory() {
    if (runtime().rank() == 0) {
      std::string name = (std::filesystem::temp_directory_path() / "dsr_tiers_XXXXXX").string();
      REQUIRE(mkdtemp(name.data()) != nullptr);
      path_ = name;
    }
    path_ = broadcast_text(path_, 0, runtime().world());
  }
  ~JobDirectory() {
    wait_for_all(runtime().world());
    if (runtime().rank() == 0) std::filesystem::remove_all(path_);
  }
  JobDirectory(JobDirectory const&) = delete;
  JobDirectory& operator=(JobDirectory const&) = delete;
  std::string const& path() const { return path_; }

 private:
  std::string path_;
};

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
  explicit TiersJob(JobDirectory const& place, MeshShape shape = {.dp = runtime().size()},
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
