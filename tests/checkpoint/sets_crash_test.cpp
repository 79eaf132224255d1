// SPDX-License-Identifier: Apache-2.0
/// What is done with sets, stopped by a loss of power before each of its calls; and the same with
/// one promise of the disk taken away, which must then be missed.
#include <functional>
#include <optional>

#include "checkpoint/small_set.hpp"
#include "dsr/checkpoint/gpt2.hpp"
#include "dsr/checkpoint/safetensors.hpp"
#include "dsr/core/error.hpp"
#include "support/catch.hpp"
#include "support/faulty_files.hpp"
#include "support/simulated_disk.hpp"

using namespace dsr;
using namespace dsr::test;

namespace {

std::string const kTier = "/run/tier";
constexpr std::uint64_t kSeeds = 8;

struct Scenario {
  std::function<void(FileSystem&)> prepare, act;
  /// What must hold after the crash; told whether `act` had returned.
  std::function<bool(FileSystem&, bool)> holds;
};

/// True if every set that is called committed is whole.
bool all_whole(FileSystem& files, std::string const& path) {
  for (FoundSet const& set : find_sets(files, path)) {
    if (set.committed && !verify_set(files, set.directory, *set.manifest).empty()) return false;
    if (!set.reason.empty()) return false;
  }
  return true;
}

std::vector<Size> committed_steps(FileSystem& files, std::string const& path) {
  std::vector<Size> steps;
  for (FoundSet const& set : find_sets(files, path)) {
    if (set.committed) steps.push_back(set.name.step);
  }
  return steps;
}

/// Crashes before call 1, 2, … of `act` until it ends, and once after; how often it did not hold.
int violations(Scenario const& scenario, std::optional<Call> weakened = {}) {
  int found = 0;
  for (Size n = 1;; ++n) {
    bool ended = false;
    for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
      SimulatedDisk disk;
      scenario.prepare(disk);
      FaultyFiles files{disk};
      if (weakened) files.weaken(*weakened);
      disk.faults().fail_at(n, EIO, Lasting::persistent);
      ended = false;
      try {
        scenario.act(files);
        ended = true;
      } catch (Error const&) {
        ended = false;
      }
      disk.power_loss(seed);
      if (!scenario.holds(disk, ended)) ++found;
    }
    if (ended) return found;
    REQUIRE(n < 1000);
  }
}

void write_three(FileSystem& files) {
  for (Size const step : {1, 2, 3}) write_set(files, kTier, {step, 1});
}

}  // namespace

TEST_CASE("An acknowledged set survives a loss of power, and a torn one is none") {
  Scenario const commit{[](FileSystem& files) {
                          write_set(files, kTier, {1, 1});
                        },
                        [](FileSystem& files) {
                          write_set(files, kTier, {2, 1});
                        },
                        [](FileSystem& files, bool ended) {
                          auto const steps = committed_steps(files, kTier);
                          return all_whole(files, kTier) &&
                                 (!ended || steps == std::vector<Size>{1, 2}) && !steps.empty() &&
                                 steps.front() == 1;
                        }};
  CHECK(violations(commit) == 0);
  CHECK(violations(commit, Call::sync_data) > 0);
  CHECK(violations(commit, Call::sync_directory) > 0);
  CHECK(violations(commit, Call::rename) > 0);
}

TEST_CASE("A second writer cannot touch what is committed") {
  for (bool const exclusive : {true, false}) {
    SimulatedDisk disk;
    write_set(disk, kTier, {1, 1});
    FaultyFiles files{disk};
    if (!exclusive) files.weaken(Call::create);
    auto const again = [&] { write_set(files, kTier, {1, 1}, Commit::no, 5); };
    if (exclusive)
      CHECK_THROWS_AS(again(), IoError);
    else
      again();
    CHECK(all_whole(disk, kTier) == exclusive);
  }
}

TEST_CASE("Pruning leaves whole sets at every moment, and the newest ones") {
  Scenario const prune_all{write_three, [](FileSystem& files) { prune(files, kTier, 2); },
                           [](FileSystem& files, bool ended) {
                             auto const steps = committed_steps(files, kTier);
                             bool const pruned = steps == std::vector<Size>{2, 3};
                             return all_whole(files, kTier) &&
                                    (pruned || (!ended && steps == std::vector<Size>{1, 2, 3}));
                           }};
  CHECK(violations(prune_all) == 0);
  CHECK(violations(prune_all, Call::sync_directory) > 0);
}

TEST_CASE("A copy is committed whole or not at all") {
  Scenario const copy{[](FileSystem& files) {
                        write_set(files, kTier, {1, 1});
                      },
                      [](FileSystem& files) {
                        std::string const set = kTier + "/" + to_string(SetName{1, 1});
                        copy_set(files, set, read_manifest(files, set), "/run/copy");
                      },
                      [](FileSystem& files, bool ended) {
                        if (committed_steps(files, kTier) != std::vector<Size>{1}) return false;
                        if (!files.exists("/run/copy")) return !ended;
                        return all_whole(files, "/run/copy") &&
                               (!ended || committed_steps(files, "/run/copy").size() == 1);
                      }};
  CHECK(violations(copy) == 0);
  CHECK(violations(copy, Call::sync_data) > 0);
  CHECK(violations(copy, Call::sync_directory) > 0);
}

TEST_CASE("An imported model is a committed set or none") {
  constexpr Size kHidden = 2, kInner = 3, kRows = 3;
  std::vector<SafetensorsOutput> const tensors{{"wte.weight", {kRows, kHidden}},
                                               {"wpe.weight", {kRows, kHidden}},
                                               {"h.0.ln_1.weight", {kHidden}},
                                               {"h.0.ln_1.bias", {kHidden}},
                                               {"h.0.attn.c_attn.weight", {kHidden, 3 * kHidden}},
                                               {"h.0.attn.c_attn.bias", {3 * kHidden}},
                                               {"h.0.attn.c_proj.weight", {kHidden, kHidden}},
                                               {"h.0.attn.c_proj.bias", {kHidden}},
                                               {"h.0.ln_2.weight", {kHidden}},
                                               {"h.0.ln_2.bias", {kHidden}},
                                               {"h.0.mlp.c_fc.weight", {kHidden, kInner}},
                                               {"h.0.mlp.c_fc.bias", {kInner}},
                                               {"h.0.mlp.c_proj.weight", {kInner, kHidden}},
                                               {"h.0.mlp.c_proj.bias", {kHidden}},
                                               {"ln_f.weight", {kHidden}},
                                               {"ln_f.bias", {kHidden}}};
  Scenario const importing{
      [&](FileSystem& files) {
        write_safetensors(files, "/run/gpt2", tensors, DType::f32, 1000, [&](std::size_t i) {
          return std::vector<float>(static_cast<std::size_t>(tensors[i].shape.elements()), 1);
        });
        write_durably(files, "/run/gpt2/config.json",
                      R"({"model_type":"gpt2","n_layer":1,"n_embd":2,"n_head":1,"n_inner":3,)"
                      R"("vocab_size":3,"n_positions":3})");
        files.sync_directory("/run/gpt2");
        write_set(files, kTier, {1, 1});
      },
      [](FileSystem& files) { import_gpt2(files, "/run/gpt2", kTier); },
      [](FileSystem& files, bool ended) {
        auto const steps = committed_steps(files, kTier);
        bool const both = steps == std::vector<Size>{0, 1};
        return all_whole(files, kTier) && (both || (!ended && steps == std::vector<Size>{1}));
      }};
  CHECK(violations(importing) == 0);
  CHECK(violations(importing, Call::sync_data) > 0);
  CHECK(violations(importing, Call::sync_directory) > 0);
}

TEST_CASE("A rollback that a crash stopped can be done again") {
  Scenario const back{write_three, [](FileSystem& files) { rollback(files, kTier, 1); },
                      [](FileSystem& files, bool ended) {
                        if (ended && committed_steps(files, kTier) != std::vector<Size>{1})
                          return false;
                        // The newest goes first, so that what is left is older, not a gap.
                        auto const steps = committed_steps(files, kTier);
                        if (steps.size() == 2 && steps.back() != 2) return false;
                        rollback(files, kTier, 1);
                        return committed_steps(files, kTier) == std::vector<Size>{1};
                      }};
  CHECK(violations(back) == 0);
  CHECK(violations(back, Call::sync_directory) > 0);
}

TEST_CASE("A failing call is an error, never a false acknowledgement") {
  for (int const error : {ENOSPC, EIO, EROFS, EDQUOT}) {
    for (Size n = 1;; ++n) {
      SimulatedDisk disk;
      write_set(disk, kTier, {1, 1});
      Size const before = disk.operations();
      disk.faults().fail_at(n, error);
      bool acknowledged = false;
      try {
        write_set(disk, kTier, {2, 1});
        acknowledged = true;
      } catch (Error const&) {
        acknowledged = false;
      }
      bool const clean = disk.operations() - before < n;
      disk.faults().clear();
      INFO("call " << n << ", error " << error);
      CHECK(all_whole(disk, kTier));
      auto const steps = committed_steps(disk, kTier);
      CHECK((steps == std::vector<Size>{1, 2} || (!acknowledged && steps == std::vector<Size>{1})));
      if (clean) break;
      REQUIRE(n < 1000);
    }
  }
}
