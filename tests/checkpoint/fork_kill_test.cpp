// SPDX-License-Identifier: Apache-2.0
/// Kills of a process that saves with a Checkpointer to one tier or to three: 10,000 at a random
/// call or after a random time, and one at each call. Whatever it was told is acknowledged, the
/// next process loads, and goes on.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <map>
#include <random>
#include <set>
#include <sstream>
#include <thread>

#include "checkpoint/small_set.hpp"
#include "checkpoint/small_state.hpp"
#include "dsr/comm/mpi.hpp"
#include "dsr/core/error.hpp"
#include "io/temporary_directory.hpp"
#include "support/catch.hpp"
#include "support/faulty_files.hpp"

using namespace dsr;
using namespace dsr::test;

namespace {

constexpr int kKills = 10'000;
constexpr int kLives = 25;  // kills in one directory, one after the other
constexpr int kMostMicroseconds = 2000;
constexpr int kWrongState = 3;

/// In memory where the machine has such a folder: what is tested is no disk.
std::filesystem::path memory_folder() {
  std::filesystem::path const memory = "/dev/shm";
  return ::access(memory.c_str(), W_OK) == 0 ? memory : std::filesystem::temp_directory_path();
}

/// Where a run saves, and how often in one life.
struct Kind {
  std::vector<Tier> tiers;
  int saves;
};
Kind const kWarmAlone{{Tier::warm}, 2};
Kind const kAllTiers{{Tier::hot, Tier::warm, Tier::cold}, 1};

std::string directory_of(std::string const& run, Tier tier) {
  return run + "/" + std::string{name_of(tier)} + (tier == Tier::hot ? "/run" : "");
}

CheckpointOptions options_of(std::string const& run, Kind const& kind) {
  CheckpointOptions options;
  options.warm = {.directory = directory_of(run, Tier::warm), .keep = 2};
  if (kind.tiers.size() == 1) return options;
  options.hot = {.directory = run + "/hot", .keep = 2};
  options.cold = {
      .directory = directory_of(run, Tier::cold), .keep = 2, .content = ColdContent::all};
  return options;
}

void tell(int pipe, char what, Size step) {
  std::array<char, 32> line{};
  int const length =
      std::snprintf(line.data(), line.size(), "%c%lld\n", what, static_cast<long long>(step));
  if (::write(pipe, line.data(), static_cast<std::size_t>(length)) != length) ::_exit(kWrongState);
}

/// What a process does: loads, saves, and is killed somewhere; 0 if it came to its end.
int live(std::string const& run, Kind const& kind, FaultyFiles& files, int pipe) {
  Runtime self = runtime_on(MPI_COMM_SELF, {.threads = 1, .termination = Termination::off});
  Mesh const mesh{self, {}};
  SmallState state{mesh};
  Checkpointer checkpointer{self, mesh, files, options_of(run, kind)};
  auto const resumed = checkpointer.load(state.state());
  Size step = resumed ? resumed->name.step : 0;
  if (resumed && !state.is(step)) return kWrongState;
  tell(pipe, 'r', step);
  for (int i = 0; i < kind.saves; ++i) {
    state.become(++step);
    if (!checkpointer.save(state.state(), step, kind.tiers)) return kWrongState;
    for (std::size_t tier = 0; tier < kind.tiers.size(); ++tier) {
      auto const report = checkpointer.wait();
      if (!report || !report->acknowledged || !report->reason.empty()) return kWrongState;
      tell(pipe, name_of(report->tier)[0], step);
    }
  }
  return 0;
}

/// The calls of a life, made by this process: its children are forked with all that it has loaded,
/// and need not look up what they call.
Size calls_of(std::string const& run, Kind const& kind) {
  FaultyFiles files{system_files()};
  int const nowhere = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  REQUIRE(live(run, kind, files, nowhere) == 0);
  ::close(nowhere);
  return files.operations();
}

struct Life {
  Size resumed = -1;
  std::map<char, Size> acknowledged;  // by the first letter of the tier
  int status = 0;
  bool killed() const { return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL; }
  bool ended_well() const { return WIFEXITED(status) && WEXITSTATUS(status) == 0; }
};

[[noreturn]] void live_as_child(std::string const& run, Kind const& kind, Size call_to_die_at,
                                int pipe) {
  int code = kWrongState;
  try {
    FaultyFiles files{system_files()};
    Size made = 0;
    files.watch([&](CallPlace const&) {
      if (++made == call_to_die_at) ::raise(SIGKILL);
    });
    code = live(run, kind, files, pipe);
  } catch (std::exception const& error) {
    std::fprintf(stderr, "%s\n", error.what());
  }
  ::_exit(code);
}

/// One child, and how it ended. `microseconds`: killed from outside after that time.
Life one_life(std::string const& run, Kind const& kind, Size call_to_die_at, int microseconds) {
  std::array<int, 2> ends{};
  REQUIRE(::pipe(ends.data()) == 0);
  pid_t const child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) live_as_child(run, kind, call_to_die_at, ends[1]);
  ::close(ends[1]);
  if (microseconds > 0) {
    std::this_thread::sleep_for(std::chrono::microseconds{microseconds});
    ::kill(child, SIGKILL);
  }
  std::string told;
  std::array<char, 256> part{};
  for (ssize_t got = 0; (got = ::read(ends[0], part.data(), part.size())) > 0;)
    told.append(part.data(), static_cast<std::size_t>(got));
  ::close(ends[0]);
  Life life;
  REQUIRE(::waitpid(child, &life.status, 0) == child);
  std::istringstream lines{told};
  for (std::string line; std::getline(lines, line);) {
    Size const step = std::stoll(line.substr(1));
    (line[0] == 'r' ? life.resumed : life.acknowledged[line[0]]) = step;
  }
  return life;
}

/// What was found whole stays so while nobody writes it: each set is read once, all at the end.
using Seen = std::set<std::string>;

/// Nothing torn, nothing that a loader set aside, and the newest acknowledged set is there.
bool tier_is_sound(std::string const& directory, Size acknowledged, Seen& seen) {
  if (!std::filesystem::exists(directory)) return acknowledged == 0;
  for (auto const& entry : std::filesystem::directory_iterator{directory}) {
    if (entry.path().filename().string().starts_with("corrupt.")) return false;
  }
  Size newest = 0;
  for (FoundSet const& set : sets_of_tier(system_files(), directory)) {
    if (!set.reason.empty()) return false;
    if (!set.committed) continue;
    newest = set.name.step;
    if (!seen.insert(set.directory).second) continue;
    if (!verify_set(system_files(), set.directory, *set.manifest).empty()) return false;
  }
  return newest >= acknowledged;
}

bool sound(std::string const& run, std::map<char, Size>& acknowledged, Seen& seen) {
  bool all = true;
  for (Tier const tier : kAllTiers.tiers)
    all = all && tier_is_sound(directory_of(run, tier), acknowledged[name_of(tier)[0]], seen);
  return all;
}

/// Lives of one run, each killed; how many were.
int lives_of(std::string const& run, Kind const& kind, Size calls, std::mt19937& random) {
  std::map<char, Size> acknowledged;
  Seen seen;
  int killed = 0;
  for (int life = 0; life < kLives; ++life) {
    bool const by_call = random() % 2 == 0;
    Size const call = by_call ? 1 + static_cast<Size>(random()) % calls : 0;
    int const time = by_call ? 0 : 1 + static_cast<int>(random() % kMostMicroseconds);
    INFO(run << ", life " << life << ", call " << call << ", after " << time << " us");
    Life const lived = one_life(run, kind, call, time);
    killed += lived.killed() ? 1 : 0;
    REQUIRE((lived.killed() || lived.ended_well()));
    for (auto const& [tier, step] : acknowledged)
      REQUIRE((lived.resumed < 0 || lived.resumed >= step));
    for (auto const& [tier, step] : lived.acknowledged)
      acknowledged[tier] = std::max(acknowledged[tier], step);
    REQUIRE(sound(run, acknowledged, seen));
  }
  seen.clear();
  REQUIRE(sound(run, acknowledged, seen));
  return killed;
}

}  // namespace

TEST_CASE("10,000 kills at random calls and random times lose nothing that was acknowledged") {
  TemporaryDirectory const folder{memory_folder()};
  std::mt19937 random{7};
  std::array const kinds{&kWarmAlone, &kAllTiers};
  std::array const calls{calls_of(folder.path() + "/0", kWarmAlone),
                         calls_of(folder.path() + "/1", kAllTiers)};
  int killed = 0;
  for (int kill = 0; kill < kKills; kill += kLives) {
    std::string const run = folder.path() + "/" + std::to_string(kill + 2);
    std::size_t const kind = random() % kinds.size();
    killed += lives_of(run, *kinds[kind], calls[kind], random);
    std::filesystem::remove_all(run);
  }
  INFO(killed << " of " << kKills);
  CHECK(killed > kKills * 7 / 10);
}

TEST_CASE("A kill at every call of a save to three tiers, with sets to prune in each") {
  TemporaryDirectory const folder{memory_folder()};
  std::string const begun = folder.path() + "/begun", run = folder.path() + "/run";
  for (int save = 0; save < 2; ++save) calls_of(begun, kAllTiers);
  bool killed = true;
  for (Size call = 1; killed; ++call) {
    std::filesystem::copy(begun, run, std::filesystem::copy_options::recursive);
    INFO("call " << call);
    Life const life = one_life(run, kAllTiers, call, 0);
    killed = life.killed();
    REQUIRE((killed || life.ended_well()));
    std::map<char, Size> acknowledged{{'h', 2}, {'w', 2}, {'c', 2}};
    for (auto const& [tier, step] : life.acknowledged) acknowledged[tier] = step;
    Seen seen;
    REQUIRE(sound(run, acknowledged, seen));
    Life const next = one_life(run, kAllTiers, 0, 0);
    REQUIRE(next.ended_well());
    CHECK(next.resumed >= acknowledged['h']);
    acknowledged = next.acknowledged;
    seen.clear();
    REQUIRE(sound(run, acknowledged, seen));
    std::filesystem::remove_all(run);
    REQUIRE(call < 1000);
  }
}
