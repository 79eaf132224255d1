// SPDX-License-Identifier: Apache-2.0
/// 10,000 losses of power, of all nodes or of one, while two nodes save and prune sets on a disk
/// where each node writes its own changes. What had been acknowledged is there and whole, and the
/// next save goes on.
#include <random>

#include "checkpoint/saved_set.hpp"
#include "support/catch.hpp"
#include "support/faulty_files.hpp"
#include "support/simulated_disk.hpp"

using namespace dsr;
using namespace dsr::test;

namespace {

std::string const kTier = "/run/tier";
constexpr int kNodes = 2, kTrials = 10'000;
constexpr Size kMostCalls = 150;  // of three saves: those that are not hit end without a fault

/// Saves until the disk fails; the steps that were acknowledged.
std::vector<Size> run(std::vector<FileSystem*> const& nodes, Size first_step, Size steps,
                      int generation) {
  std::vector<Size> acknowledged;
  try {
    for (Size step = first_step; step < first_step + steps; ++step) {
      save_set(nodes, kTier, {step, generation});
      acknowledged.push_back(step);
      prune(*nodes[0], kTier, 2);
    }
  } catch (Error const&) {
    return acknowledged;
  }
  return acknowledged;
}

struct Tally {
  int lost = 0, stuck = 0, crashed = 0;
};

/// One life that ends in a loss of power, and the next one.
void live(std::uint64_t seed, std::optional<Call> weak_on_node_1, Tally& tally) {
  std::mt19937_64 random{seed};
  SimulatedDisk disk{{.journal = Journal::by_node}};
  FaultyFiles other{disk.node(1)};
  if (weak_on_node_1) other.weaken(*weak_on_node_1);
  Size const at = 1 + static_cast<Size>(random() % kMostCalls);
  disk.faults().fail_at(at, EIO, Lasting::persistent);
  std::vector<Size> acknowledged = run({&disk.node(0), &other}, 1, 3, 1);
  tally.crashed += acknowledged.size() < 3 ? 1 : 0;
  int const who = static_cast<int>(random() % (kNodes + 1));
  disk.power_loss(seed, who == kNodes ? std::optional<int>{} : who);
  if (!holds(disk.node(who == 0 ? 1 : 0), kTier, acknowledged)) {
    ++tally.lost;
    return;
  }
  Size const next = acknowledged.empty() ? 1 : acknowledged.back() + 1;
  std::vector<Size> const again = run({&disk.node(0), &disk.node(1)}, next, 1, 2);
  if (again.size() != 1) ++tally.stuck;
  if (!holds(disk, kTier, again)) ++tally.lost;
}

Tally live_often(int trials, std::optional<Call> weak_on_node_1) {
  Tally tally;
  for (int i = 0; i < trials; ++i) live(static_cast<std::uint64_t>(i), weak_on_node_1, tally);
  return tally;
}

}  // namespace

TEST_CASE("10,000 losses of power take nothing that was acknowledged") {
  Tally const tally = live_often(kTrials, {});
  CHECK(tally.lost == 0);
  CHECK(tally.stuck == 0);
  CHECK(tally.crashed > kTrials / 2);
}

TEST_CASE("A rank on another node must sync its file and its directory itself") {
  CHECK(live_often(1000, Call::sync_data).lost > 0);
  CHECK(live_often(1000, Call::sync_directory).lost > 0);
}
