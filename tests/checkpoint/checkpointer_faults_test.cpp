// SPDX-License-Identifier: Apache-2.0
/// File calls that fail while a Checkpointer saves and loads: the nth one, for every n until a run
/// is clean, once and for good. Never a crash, never a false acknowledgement, and older sets load.
#include <cerrno>

#include "checkpoint/small_set.hpp"
#include "checkpoint/small_state.hpp"
#include "dsr/comm/collectives.hpp"
#include "dsr/comm/mpi.hpp"
#include "dsr/core/error.hpp"
#include "io/temporary_directory.hpp"
#include "support/catch.hpp"
#include "support/faulty_files.hpp"
#include "support/ranks.hpp"
#include "support/simulated_disk.hpp"

using namespace dsr;
using namespace dsr::test;

namespace {

CheckpointOptions in(std::string const& tier) { return {.warm = {.directory = tier, .keep = 2}}; }

/// A save of step 3 on top of steps 1 and 2; whether it was acknowledged.
bool save_third(Runtime& self, FileSystem& files, std::string const& tier) {
  Mesh const mesh{self, {.row = self.size()}};
  SmallState state{mesh};
  state.become(3);
  try {
    Checkpointer checkpointer{self, mesh, files, in(tier)};
    if (!checkpointer.save(state.state(), 3)) return false;
    auto const report = checkpointer.wait();
    REQUIRE(report);
    CHECK((report->acknowledged || !report->reason.empty()));
    return report->acknowledged;
  } catch (AgreedError const&) {
    return false;
  } catch (IoError const&) {
    return false;
  }
}

/// What loads afterwards, with files that work; its content must be that step's.
Size loaded_step(Runtime& self, FileSystem& files, std::string const& tier) {
  Mesh const mesh{self, {.row = self.size()}};
  SmallState state{mesh};
  Checkpointer checkpointer{self, mesh, files, in(tier)};
  auto const resumed = checkpointer.load(state.state());
  if (!resumed) return -1;
  CHECK(state.is(resumed->name.step));
  return resumed->name.step;
}

/// A Runtime of its own for each trial: its communicators go with it.
Runtime runtime_of(MPI_Comm comm) {
  return runtime_on(comm, {.threads = 1, .termination = Termination::off});
}
Runtime alone() { return runtime_of(MPI_COMM_SELF); }

struct FaultKind {
  int error;
  Lasting lasting;
};

std::vector<FaultKind> kinds() {
  std::vector<FaultKind> all;
  for (int const error : {ENOSPC, EIO, EROFS, EDQUOT, EINTR}) {
    all.push_back({error, Lasting::once});
    all.push_back({error, Lasting::persistent});
  }
  return all;
}

}  // namespace

TEST_CASE("Whatever call of a save fails, it is a report, and what was there loads") {
  std::string const tier = "/run/tier";
  for (auto const [error, lasting] : kinds()) {
    bool clean = false;
    for (Size n = 1; !clean; ++n) {
      SimulatedDisk disk;
      for (Size const step : {1, 2}) write_set(disk, tier, {step, 1});
      FaultyFiles files{disk};
      files.faults().fail_at(n, error, lasting);
      Runtime self = alone();
      bool const acknowledged = save_third(self, files, tier);
      clean = files.operations() < n;
      files.faults().clear();
      INFO("call " << n << ", error " << error << ", "
                   << (lasting == Lasting::once ? "once" : "from then on"));
      Size const loaded = loaded_step(self, disk, tier);
      CHECK((loaded == 3 || (!acknowledged && loaded == 2)));
      CHECK((!clean || acknowledged));
      REQUIRE(n < 1000);
    }
  }
}

TEST_CASE("Whatever call of a load fails, it is an error on all ranks or an older set") {
  std::string const tier = "/run/tier";
  for (auto const [error, lasting] : kinds()) {
    bool clean = false;
    for (Size n = 1; !clean; ++n) {
      SimulatedDisk disk;
      for (Size const step : {1, 2}) write_set(disk, tier, {step, 1});
      FaultyFiles files{disk};
      files.faults().fail_at(n, error, lasting);
      Runtime self = alone();
      Size loaded = 0;
      try {
        loaded = loaded_step(self, files, tier);
      } catch (Error const&) {
        loaded = 0;
      }
      clean = files.operations() < n;
      INFO("call " << n << ", error " << error << ", "
                   << (lasting == Lasting::once ? "once" : "from then on"));
      CHECK((loaded == 2 || (!clean && loaded <= 1)));
      REQUIRE(n < 1000);
    }
  }
}

TEST_CASE("Disks that write little at a time and disks that are full") {
  std::string const tier = "/run/tier";
  {
    SimulatedDisk disk{{.largest_transfer = 7}};
    Runtime self = alone();
    CHECK(save_third(self, disk, tier));
    CHECK(loaded_step(self, disk, tier) == 3);
  }
  int acknowledged = 0, refused = 0;
  for (Size capacity = 6000; capacity < 60'000; capacity += 500) {
    SimulatedDisk disk{{.capacity = capacity}};
    for (Size const step : {1, 2}) write_set(disk, tier, {step, 1});
    Runtime self = alone();
    bool const saved = save_third(self, disk, tier);
    ++(saved ? acknowledged : refused);
    CHECK(loaded_step(self, disk, tier) == (saved ? 3 : 2));
  }
  CHECK(acknowledged > 0);
  CHECK(refused > 0);
}

TEST_CASE("A call that fails on one rank of two fails the set on both") {
  if (runtime().size() < 2) return;
  Communicator& world = runtime().world();
  TemporaryDirectory const own;
  std::string const run = broadcast_text(own.path(), 0, world);
  int number = 0;
  for (int const victim : {0, 1}) {
    for (Size n = 1;; n += 3) {
      std::string const tier = run + "/" + std::to_string(number++);
      if (runtime().rank() == 0) {
        for (Size const step : {1, 2}) write_set(system_files(), tier, {step, 1});
      }
      wait_for_all(world);
      FaultyFiles files{system_files()};
      if (runtime().rank() == victim) files.faults().fail_at(n, EIO, Lasting::persistent);
      Runtime both = runtime_of(MPI_COMM_WORLD);
      bool const acknowledged = save_third(both, files, tier);
      double const made = runtime().rank() == victim ? static_cast<double>(files.operations()) : 0;
      bool const clean = all_reduce_value(made, Reduce::max, world) < static_cast<double>(n);
      files.faults().clear();
      INFO("rank " << victim << ", call " << n);
      Size const loaded = loaded_step(both, system_files(), tier);
      CHECK((loaded == 3 || (!acknowledged && loaded == 2)));
      CHECK((!clean || acknowledged));
      if (clean) break;
      REQUIRE(n < 500);
    }
  }
}
