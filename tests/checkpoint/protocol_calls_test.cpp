// SPDX-License-Identifier: Apache-2.0
/// Which calls a save needs. Each sync and each rename is taken away in turn, and the power is lost
/// before every call that follows: then one of the named scenarios must fail. What nothing here
/// misses stands in kSpare, with the scenario that does. Exclusive names are needed by the second
/// writer.
#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>

#include "checkpoint/small_set.hpp"
#include "checkpoint/small_state.hpp"
#include "dsr/comm/mpi.hpp"
#include "dsr/core/error.hpp"
#include "support/catch.hpp"
#include "support/faulty_files.hpp"
#include "support/simulated_disk.hpp"

using namespace dsr;
using namespace dsr::test;

namespace {

std::string const kHot = "/node/hot/run", kWarm = "/run/deep/warm", kCold = "/archive/cold";
constexpr std::uint64_t kSeeds = 6;
using Tiers = std::vector<Tier>;

std::string const& directory_of(Tier tier) {
  return tier == Tier::hot ? kHot : tier == Tier::warm ? kWarm : kCold;
}

CheckpointOptions options_of(Tiers const& tiers) {
  CheckpointOptions options;
  for (Tier const tier : tiers) {
    if (tier == Tier::hot) options.hot = {.directory = parent_directory(kHot), .keep = 2};
    if (tier == Tier::warm) options.warm = {.directory = kWarm, .keep = 2};
    if (tier == Tier::cold)
      options.cold = {.directory = kCold, .keep = 2, .content = ColdContent::all};
  }
  return options;
}

/// Empty for those that promise nothing of what is on the disk.
std::string name_of_call(Call call) {
  switch (call) {
    case Call::sync_data:
      return "sync_data";
    case Call::sync_directory:
      return "sync_directory";
    case Call::rename:
      return "rename";
    default:
      return {};
  }
}

/// "sync_directory warm/step_000000003.g002, 2": the same in every run.
std::string text_of(CallPlace const& place) {
  std::string path = place.path;
  for (Tier const tier : {Tier::hot, Tier::warm, Tier::cold}) {
    std::string const& directory = directory_of(tier);
    if (path.starts_with(directory))
      path = std::string{name_of(tier)} + path.substr(directory.size());
  }
  return name_of_call(place.call) + " " + path + ", " + std::to_string(place.nth);
}

/// The steps that each tier has, or was told are safe there.
using Steps = std::map<Tier, std::vector<Size>>;

struct Outcome {
  Steps acknowledged;
  bool ended = false;
};

/// A run that saves these steps; what it was told is safe.
Outcome save_steps(FileSystem& files, Tiers const& tiers, std::vector<Size> const& steps) {
  Outcome outcome;
  try {
    Runtime self = runtime_on(MPI_COMM_SELF, {.threads = 1, .termination = Termination::off});
    Mesh const mesh{self, {}};
    SmallState state{mesh};
    Checkpointer checkpointer{self, mesh, files, options_of(tiers)};
    outcome.ended = true;
    for (Size const step : steps) {
      state.become(step);
      checkpointer.save(state.state(), step, tiers);
      while (auto const report = checkpointer.wait()) {
        if (report->acknowledged) outcome.acknowledged[report->tier].push_back(report->name.step);
        outcome.ended = outcome.ended && report->reason.empty();
      }
    }
  } catch (Error const&) {
    outcome.ended = false;
  }
  return outcome;
}

/// What is promised of a tier: no committed set is torn, and the newest acknowledged one is there,
/// as are two of them once there were two.
bool tier_holds(FileSystem& files, std::string const& tier, std::vector<Size> const& acknowledged) {
  if (!files.exists(tier)) return acknowledged.empty();
  std::set<Size> committed;
  for (FoundSet const& set : sets_of_tier(files, tier)) {
    if (!set.reason.empty()) return false;
    if (!set.committed) continue;
    if (!verify_set(files, set.directory, *set.manifest).empty()) return false;
    committed.insert(set.name.step);
  }
  return std::ranges::all_of(acknowledged, [&](Size step) {
    auto const newer = std::distance(committed.upper_bound(step), committed.end());
    return committed.contains(step) || newer >= 2;
  });
}

/// The next start resumes from the newest acknowledged set of all tiers, or a newer one.
bool resumes(FileSystem& files, Tiers const& tiers, Steps const& acknowledged) {
  Runtime self = runtime_on(MPI_COMM_SELF, {.threads = 1, .termination = Termination::off});
  Mesh const mesh{self, {}};
  SmallState state{mesh};
  Checkpointer checkpointer{self, mesh, files, options_of(tiers)};
  auto const resumed = checkpointer.load(state.state());
  Size newest = 0;
  for (auto const& [tier, steps] : acknowledged)
    for (Size const step : steps) newest = std::max(newest, step);
  if (!resumed) return newest == 0;
  return resumed->name.step >= newest && state.is(resumed->name.step);
}

bool holds(FileSystem& files, Tiers const& tiers, Steps const& acknowledged) {
  for (Tier const tier : tiers) {
    auto const steps = acknowledged.find(tier);
    if (!tier_holds(files, directory_of(tier),
                    steps == acknowledged.end() ? std::vector<Size>{} : steps->second))
      return false;
  }
  return resumes(files, tiers, acknowledged);
}

struct Scenario {
  char const* name;
  Tiers tiers;
  std::vector<Size> before, saved;
};

/// "a first save": its ancestors are made too. "the save after two": the oldest set is pruned.
Tiers const kWarmAlone{Tier::warm}, kAllTiers{Tier::hot, Tier::warm, Tier::cold};
std::array const kScenarios{Scenario{"a first save", kWarmAlone, {}, {1}},
                            Scenario{"the save after two", kWarmAlone, {1, 2}, {3}},
                            Scenario{"a first save to three tiers", kAllTiers, {}, {1}},
                            Scenario{"the save after two to three tiers", kAllTiers, {1, 2}, {3}}};

void write_before(SimulatedDisk& disk, Scenario const& scenario) {
  for (Tier const tier : scenario.tiers)
    for (Size const step : scenario.before) write_set(disk, directory_of(tier), {step, 1});
}

struct Trial {
  bool held = true, ended = false;
};

/// Loses power before call n of the scenario's saves; without one promise, if asked.
Trial crash(Scenario const& scenario, Size n, std::uint64_t seed,
            std::optional<CallPlace> const& weakened) {
  SimulatedDisk disk;
  write_before(disk, scenario);
  FaultyFiles files{disk};
  if (weakened) files.weaken(*weakened);
  disk.faults().fail_at(n, EIO, Lasting::persistent);
  Outcome outcome = save_steps(files, scenario.tiers, scenario.saved);
  disk.power_loss(seed);
  for (Tier const tier : scenario.tiers) {
    auto& steps = outcome.acknowledged[tier];
    steps.insert(steps.end(), scenario.before.begin(), scenario.before.end());
  }
  return {holds(disk, scenario.tiers, outcome.acknowledged), outcome.ended};
}

/// A call that promises something, and how many calls were made before it.
struct Promise {
  CallPlace place;
  Size before;
};

/// Those of a run without faults.
std::vector<Promise> promises_of(Scenario const& scenario) {
  SimulatedDisk disk;
  write_before(disk, scenario);
  Size const before = disk.operations();
  FaultyFiles files{disk};
  std::vector<Promise> promises;
  files.watch([&](CallPlace const& place) {
    if (!name_of_call(place.call).empty()) promises.push_back({place, disk.operations() - before});
  });
  Outcome const outcome = save_steps(files, scenario.tiers, scenario.saved);
  REQUIRE(outcome.ended);
  for (Tier const tier : scenario.tiers) REQUIRE(outcome.acknowledged.at(tier) == scenario.saved);
  return promises;
}

/// Whether a scenario fails without this promise. Until it is due all is as with it; most are
/// missed once all is over.
bool missed(Scenario const& scenario, Promise const& promise) {
  constexpr Size kNever = 100'000;
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed)
    if (!crash(scenario, kNever, seed, promise.place).held) return true;
  for (Size n = promise.before + 1;; ++n) {
    bool ended = false;
    for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
      Trial const trial = crash(scenario, n, seed, promise.place);
      if (!trial.held) return true;
      ended = trial.ended;
    }
    if (ended) return false;
    REQUIRE(n < 1000);
  }
}

/// A second run that took its generation at the same time as the first writes the same step. The
/// first must stay as it is, and the second must not be told that it is safe.
bool second_writer_is_harmless(std::vector<Call> const& weakened) {
  SimulatedDisk disk;
  FaultyFiles files{disk};
  Runtime self = runtime_on(MPI_COMM_SELF, {.threads = 1, .termination = Termination::off});
  Mesh const mesh{self, {}};
  SmallState state{mesh}, other{mesh};
  CheckpointOptions const options = options_of(kWarmAlone);
  Checkpointer first{self, mesh, files, options}, second{self, mesh, files, options};
  state.become(5);
  other.become(7);
  first.save(state.state(), 5);
  auto const acknowledged = first.wait();
  for (Call const call : weakened) files.weaken(call);
  second.save(other.state(), 5);
  auto const refused = second.wait();
  return acknowledged->acknowledged && !refused->acknowledged && tier_holds(disk, kWarm, {5});
}

/// A rank's sync of the set's directory: rank 0 syncs it later, which is enough where it is one
/// disk; power_loss_test.cpp needs it where each node writes its own changes. The root, of which
/// the last tier's sync is enough for all.
std::set<std::string> const kSpare{"sync_directory warm/step_000000001.g001, 1",
                                   "sync_directory warm/step_000000003.g002, 1",
                                   "three tiers: sync_directory /, 1",
                                   "three tiers: sync_directory /, 2",
                                   "three tiers: sync_directory cold/step_000000001.g001, 1",
                                   "three tiers: sync_directory cold/step_000000003.g002, 1",
                                   "three tiers: sync_directory warm/step_000000001.g001, 1",
                                   "three tiers: sync_directory warm/step_000000003.g002, 1"};

}  // namespace

TEST_CASE("What is acknowledged survives a loss of power at every call of a save") {
  for (Scenario const& scenario : kScenarios) {
    INFO(scenario.name);
    bool ended = false;
    for (Size n = 1; !ended; ++n) {
      for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
        Trial const trial = crash(scenario, n, seed, {});
        INFO("call " << n << ", seed " << seed);
        CHECK(trial.held);
        ended = trial.ended;
      }
      REQUIRE(n < 1000);
    }
  }
}

TEST_CASE("Each promise of a save is needed by a scenario") {
  std::set<std::string> spare;
  std::set<std::string> needed;
  for (Scenario const& scenario : kScenarios) {
    // What a tier is given by a faster one is written by other calls of the same names.
    std::string const prefix = scenario.tiers.size() > 1 ? "three tiers: " : "";
    for (Promise const& promise : promises_of(scenario)) {
      std::string const text = prefix + text_of(promise.place);
      if (needed.contains(text)) continue;
      if (missed(scenario, promise)) {
        needed.insert(text);
        spare.erase(text);
      } else {
        spare.insert(text);
      }
    }
  }
  CHECK(needed.size() > 10);
  CHECK(spare == kSpare);
}

TEST_CASE("A second writer changes nothing and is told so") {
  CHECK(second_writer_is_harmless({}));
  // Either exclusive name is enough: that of the set's directory, and those of its files.
  CHECK(second_writer_is_harmless({Call::make_directory}));
  CHECK(second_writer_is_harmless({Call::create}));
  CHECK_FALSE(second_writer_is_harmless({Call::make_directory, Call::create}));
}
