// SPDX-License-Identifier: Apache-2.0
/// A run that saves, prunes and copies sets with system_files(), for kill_test.py, which ends it at
/// any call; and what must hold afterwards.
///
/// usage: saves_program save DIRECTORY
///        saves_program check DIRECTORY WARM COLD
///
/// save prints "warm <step>" and "cold <step>" when they are acknowledged; check is told the last
/// ones, 0 for none, and saves once more.
#include <cstdio>
#include <cstdlib>
#include <string>

#include "checkpoint/saved_set.hpp"

using namespace dsr;
using namespace dsr::test;

namespace {

void say(char const* tier, Size step) {
  std::printf("%s %lld\n", tier, static_cast<long long>(step));
  std::fflush(stdout);
}

/// The last step that is committed in a tier, 0 if there is none. Every set there must be whole.
Size last_step(FileSystem& files, std::string const& tier) {
  if (!files.exists(tier)) return 0;
  Size last = 0;
  for (FoundSet const& set : sets_of_tier(files, tier)) {
    if (!whole(files, set)) throw CorruptData(set.directory + " is torn: " + set.reason);
    if (set.committed) last = set.name.step;
  }
  return last;
}

/// Saves `steps` steps after the last one, and copies each to the cold tier.
void go_on(FileSystem& files, std::string const& run, int steps) {
  std::string const warm = run + "/checkpoints", cold = run + "/final";
  make_directories(files, warm);
  int const generation = next_generation(files, run);
  Size step = last_step(files, warm);
  for (int i = 0; i < steps; ++i) {
    SetName const name{++step, generation};
    save_set({&files, &files}, warm, name);
    say("warm", step);
    prune(files, warm, 2);
    std::string const set = warm + "/" + to_string(name);
    copy_set(files, set, read_manifest(files, set), cold);
    say("cold", step);
    prune(files, cold, 2);
  }
}

void check(FileSystem& files, std::string const& run, Size warm, Size cold) {
  for (auto const& [tier, step] : {std::pair{run + "/checkpoints", warm}, {run + "/final", cold}}) {
    std::vector<Size> acknowledged;
    for (Size i = 1; i <= step; ++i) acknowledged.push_back(i);
    last_step(files, tier);
    if (!holds(files, tier, acknowledged))
      throw CorruptData(tier + ": step " + std::to_string(step) + " was acknowledged and is gone");
  }
  go_on(files, run, 1);
}

}  // namespace

int main(int argc, char** argv) try {
  std::string const what = argc > 2 ? argv[1] : "", run = argc > 2 ? argv[2] : "";
  if (what == "save" && argc == 3)
    go_on(system_files(), run, 3);
  else if (what == "check" && argc == 5)
    check(system_files(), run, std::atoll(argv[3]), std::atoll(argv[4]));
  else
    return 64;
  return 0;
} catch (Error const& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return error.exit_code();
}
