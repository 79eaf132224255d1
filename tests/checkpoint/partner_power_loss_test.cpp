// SPDX-License-Identifier: Apache-2.0
/// Hot sets of two nodes that keep each other's files, each on a disk of its own. The disk of one
/// fails before each of its calls in turn; then nodes lose power, or one comes back empty. What was
/// acknowledged is what the next start resumes from.
#include <array>
#include <cerrno>
#include <memory>
#include <set>

#include "checkpoint/small_set.hpp"
#include "checkpoint/small_state.hpp"
#include "dsr/comm/collectives.hpp"
#include "dsr/comm/mpi.hpp"
#include "dsr/core/error.hpp"
#include "support/catch.hpp"
#include "support/faulty_files.hpp"
#include "support/ranks.hpp"
#include "support/simulated_disk.hpp"

using namespace dsr;
using namespace dsr::test;

namespace {

std::string const kTier = "/node/hot/run";
constexpr int kNodes = 2;
constexpr Size kNever = 100'000;

CheckpointOptions options() {
  return {.hot = {.directory = parent_directory(kTier), .keep = 2, .partner = Partner::next},
          .node = runtime().rank()};
}

/// What happens to the node whose disk failed, and to the other.
enum class Fate { stays, loses_power, disk_is_gone };
struct Accident {
  Fate victim, other;
};
constexpr std::array kAccidents{Accident{Fate::loses_power, Fate::stays},
                                Accident{Fate::loses_power, Fate::loses_power},
                                Accident{Fate::disk_is_gone, Fate::loses_power},
                                Accident{Fate::loses_power, Fate::disk_is_gone}};

struct Job {
  Runtime both = runtime_on(MPI_COMM_WORLD, {.threads = 1, .termination = Termination::off});
  Mesh mesh{both, {.row = kNodes}};
  SmallState small{mesh};
};

/// Saves step 3; whether it was acknowledged.
bool save_third(FileSystem& files) {
  Job job;
  job.small.become(3);
  try {
    Checkpointer checkpointer{job.both, job.mesh, files, options()};
    if (!checkpointer.save(job.small.state(), 3, {Tier::hot})) return false;
    auto const report = checkpointer.wait();
    return report && report->acknowledged;
  } catch (AgreedError const&) {
    return false;
  }
}

/// What the next start resumes from, -1 for nothing; the state must be of that step.
Size resumed_step(FileSystem& files) {
  Job job;
  Checkpointer checkpointer{job.both, job.mesh, files, options()};
  auto const resumed = checkpointer.load(job.small.state());
  if (!resumed) return -1;
  bool const right = job.small.is(resumed->name.step);
  return right ? resumed->name.step : -2;
}

/// Each node has the files of both, so that any committed set must be whole by itself.
bool no_set_is_torn(FileSystem& files) {
  if (!files.exists(kTier)) return true;
  for (FoundSet const& set : sets_of_tier(files, kTier)) {
    if (!set.reason.empty()) return false;
    if (set.committed && !verify_set(files, set.directory, *set.manifest).empty()) return false;
  }
  return true;
}

bool on_all(bool mine) {
  return all_reduce_value(mine ? 1 : 0, Reduce::min, runtime().world()) > 0;
}
bool on_any(bool mine) {
  return all_reduce_value(mine ? 1 : 0, Reduce::max, runtime().world()) > 0;
}

struct Trial {
  bool held = true, reached = false;
};

/// Steps 1 and 2 are there and step 3 is saved. The victim's disk fails from its call n on.
Trial crash(int victim, Size n, std::uint64_t seed, Accident const& accident,
            std::optional<CallPlace> const& weakened = {}) {
  bool const mine = runtime().rank() == victim;
  auto disk = std::make_unique<SimulatedDisk>();
  for (Size const step : {1, 2}) write_set(*disk, kTier, {step, 1});
  FaultyFiles files{*disk};
  if (mine && weakened) files.weaken(*weakened);
  Size const before = disk->operations();
  if (mine) disk->faults().fail_at(n, EIO, Lasting::persistent);
  bool const acknowledged = save_third(files);
  Trial trial{.reached = on_any(mine && disk->operations() - before >= n)};
  disk->faults().clear();
  Fate const fate = mine ? accident.victim : accident.other;
  if (fate == Fate::loses_power) disk->power_loss(seed);
  if (fate == Fate::disk_is_gone) disk = std::make_unique<SimulatedDisk>();
  bool const whole = on_all(no_set_is_torn(*disk));
  Size const resumed = resumed_step(*disk);
  trial.held = on_all(whole && (resumed == 3 || (resumed == 2 && !acknowledged)));
  return trial;
}

bool promises(Call call) {
  return call == Call::sync_data || call == Call::sync_directory || call == Call::rename;
}

/// A call that promises something, and how many calls were made before it.
struct Promise {
  CallPlace place;
  Size before;
};

/// Those of the victim in a run without faults; as many on the other rank, which weaken nothing.
std::vector<Promise> promises_of(int victim) {
  SimulatedDisk disk;
  for (Size const step : {1, 2}) write_set(disk, kTier, {step, 1});
  FaultyFiles files{disk};
  Size const before = disk.operations();
  std::vector<Promise> found;
  files.watch([&](CallPlace const& place) {
    if (runtime().rank() == victim && promises(place.call))
      found.push_back({place, disk.operations() - before});
  });
  REQUIRE(save_third(files));
  auto const number = [](Size mine) {
    return static_cast<Size>(
        all_reduce_value(static_cast<double>(mine), Reduce::max, runtime().world()));
  };
  found.resize(static_cast<std::size_t>(number(std::ssize(found))));
  for (Promise& promise : found) promise.before = number(promise.before);
  return found;
}

/// "rename rank_00000.h5": what the call was about.
std::string text_of(CallPlace const& place) {
  std::string const kind = place.call == Call::rename      ? "rename "
                           : place.call == Call::sync_data ? "sync_data "
                                                           : "sync_directory ";
  return kind + place.path.substr(place.path.rfind('/') + 1) + ", " + std::to_string(place.nth);
}

/// Whether an accident that leaves this node alone shows that the call is needed. Until it is due
/// all is as with it; most are missed once all is over.
bool missed(int victim, Promise const& promise) {
  constexpr std::uint64_t kSeeds = 2;
  Accident const alone{Fate::loses_power, Fate::disk_is_gone};
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed)
    if (!crash(victim, kNever, seed, alone, promise.place).held) return true;
  bool reached = true;
  for (Size n = promise.before + 1; reached; ++n) {
    for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
      Trial const trial = crash(victim, n, seed, alone, promise.place);
      if (!trial.held) return true;
      reached = trial.reached;
    }
  }
  return false;
}

/// The tier's parent, which is there from before: protocol_calls_test.cpp has a first save. A rank's
/// sync of the set's directory, which the one after its partner's file makes up for.
std::set<std::string> const kSpare{"sync_directory hot, 1",
                                   "sync_directory step_000000003.g002, 1"};

}  // namespace

TEST_CASE("A hot set that was acknowledged outlives power and either node, at every call") {
  if (runtime().size() != kNodes) return;
  for (int victim = 0; victim < kNodes; ++victim) {
    bool reached = true;
    for (Size n = 1; reached; ++n) {
      Accident const& accident = kAccidents[static_cast<std::size_t>(n) % kAccidents.size()];
      INFO("victim " << victim << ", call " << n);
      Trial const trial = crash(victim, n, static_cast<std::uint64_t>(n), accident);
      CHECK(trial.held);
      reached = trial.reached;
      REQUIRE(n < 1000);
    }
  }
}

TEST_CASE("Each promise of a node that keeps its partner's files is needed") {
  if (runtime().size() != kNodes) return;
  for (int victim = 0; victim < kNodes; ++victim) {
    std::vector<Promise> const promised = promises_of(victim);
    std::set<std::string> spare;
    for (Promise const& promise : promised)
      if (!missed(victim, promise) && runtime().rank() == victim)
        spare.insert(text_of(promise.place));
    CHECK(promised.size() > 5);
    CHECK((runtime().rank() != victim || spare == kSpare));
  }
}
