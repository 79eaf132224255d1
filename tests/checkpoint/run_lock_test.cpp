// SPDX-License-Identifier: Apache-2.0
#include "dsr/checkpoint/run_lock.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "io/temporary_directory.hpp"
#include "libdsr/checkpoint/lock_record.hpp"
#include "support/catch.hpp"
#include "support/simulated_disk.hpp"

namespace dsr {
namespace {

using test::contains;
using test::message_of;
using test::SimulatedDisk;
using Clock = std::chrono::steady_clock;

double since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

RunLockOptions on_host(std::string host, double lease_s) {
  return {.lease_s = lease_s, .self = LockHolder{std::move(host), 7, ""}};
}

/// A lock as a process leaves it that is no more.
std::string left_by(FileSystem& files, LockHolder const& holder, double lease_s) {
  make_directories(files, "run");
  std::string const nonce = detail::new_nonce();
  std::string const text = detail::to_text({holder, nonce, lease_s, detail::lock_counter(3)});
  auto const file = files.create("run/lock");
  file->write_at(0, std::as_bytes(std::span{text}));
  file->sync_data();
  file->close();
  return nonce;
}

std::vector<std::string> names(FileSystem& files) {
  std::vector<std::string> found;
  for (DirectoryEntry const& entry : files.list("run")) found.push_back(entry.name);
  return found;
}

}  // namespace

TEST_CASE("a lock that nobody holds is taken at once, and let go without a trace") {
  SimulatedDisk disk;
  for (int i = 0; i < 2; ++i) {
    RunLock lock{disk, "run", on_host("a", 1000)};
    CHECK_NOTHROW(lock.check());
    CHECK_FALSE(lock.lost());
    CHECK(names(disk) == std::vector<std::string>{"lock"});
  }
  CHECK(names(disk).empty());
}

TEST_CASE("a second run meets a living one and says whose it is") {
  SimulatedDisk disk;
  RunLock const lock{disk, "run", on_host("node7", 0.4)};
  std::vector<std::string> told;
  RunLockOptions options = on_host("node8", 60);  // its own lease is not what decides
  options.say = [&](std::string const& text) { told.push_back(text); };
  auto const start = Clock::now();
  std::string const refused = message_of<LockError>([&] { RunLock{disk, "run", options}; });
  CHECK(since(start) < 30);
  CHECK(refused ==
        "dsr: run/lock: held by process 7 on node7, which is alive, allowed one run at a time in a "
        "folder");
  REQUIRE(told.size() == 1);
  CHECK(contains(told[0], "run/lock is held by process 7 on node7: waiting 60 s"));
  CHECK(LockError{""}.exit_code() == 75);
  CHECK(names(disk) == std::vector<std::string>{"lock"});
}

TEST_CASE("a holder that stands still is waited for as long as the longer lease, then followed") {
  for (auto const& [theirs, mine] : {std::pair{0.5, 0.1}, std::pair{0.1, 0.5}}) {
    SimulatedDisk disk;
    left_by(disk, {"elsewhere", 1, "boot"}, theirs);
    auto const start = Clock::now();
    RunLock lock{disk, "run", on_host("a", mine)};
    CHECK(since(start) >= 0.5);
    CHECK_NOTHROW(lock.check());
    CHECK(names(disk) == std::vector<std::string>{"lock"});
  }
}

TEST_CASE("a process of this machine that is gone is followed at once") {
  SimulatedDisk disk;
  LockHolder gone = detail::this_process();
  gone.pid = 0x7ffffff0;  // above what a kernel gives
  left_by(disk, gone, 1000);
  auto const start = Clock::now();
  RunLock{disk, "run", {.lease_s = 1000}}.check();
  CHECK(since(start) < 100);
}

TEST_CASE(
    "a process is gone only on the same start of the same machine and in the same container") {
  LockHolder const self = detail::this_process();
  REQUIRE_FALSE(self.boot.empty());
  LockHolder gone = self;
  CHECK_FALSE(detail::is_gone(gone, self));
  gone.pid = 0x7ffffff0;
  CHECK(detail::is_gone(gone, self));
  pid_t const child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) ::_exit(0);
  siginfo_t info{};
  REQUIRE(::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT) == 0);
  gone.pid = child;  // dead, and nobody has taken notice of it
  CHECK(detail::is_gone(gone, self));
  ::waitpid(child, nullptr, 0);
  gone.pid = 0x7ffffff0;
  LockHolder other = gone;
  other.host += "x";
  CHECK_FALSE(detail::is_gone(other, self));
  other = gone;
  other.boot += "1";
  CHECK_FALSE(detail::is_gone(other, self));
  other = gone;
  other.boot.clear();
  LockHolder nowhere = self;
  nowhere.boot.clear();
  CHECK_FALSE(detail::is_gone(other, nowhere));
}

TEST_CASE("a file that is no lock stays, and is named") {
  std::string const nonce(32, 'a');
  for (std::string const& text :
       {std::string{}, std::string{"host a\nnonce ../../etc\n"}, std::string{"\x01\x02"},
        "nonce " + nonce + "a\n", std::string(5000, 'x')}) {
    SimulatedDisk disk;
    make_directories(disk, "run");
    auto const file = disk.create("run/lock");
    file->write_at(0, std::as_bytes(std::span{text}));
    file->close();
    CHECK_FALSE(lock_holder(disk, "run"));
    if (text.size() > 4096)
      CHECK_THROWS_AS((RunLock{disk, "run", on_host("a", 0.1)}), IoError);
    else
      CHECK(contains(message_of<CorruptData>([&] {
                       RunLock{disk, "run", on_host("a", 0.1)};
                     }),
                     "run/lock"));
    CHECK(read_text(disk, "run/lock", 6000) == text);
  }
}

TEST_CASE("whom a lock names can be asked without taking it") {
  SimulatedDisk disk;
  make_directories(disk, "run");
  CHECK_FALSE(lock_holder(disk, "run"));
  disk.make_directory("run/lock");
  CHECK_FALSE(lock_holder(disk, "run"));
  disk.remove_directory("run/lock");
  LockHolder const holder{"elsewhere", 12, "boot@4"};
  left_by(disk, holder, 1);
  CHECK(lock_holder(disk, "run") == holder);
  CHECK_THROWS_AS(lock_holder(disk, "nowhere"), IoError);
}

TEST_CASE("of many that follow a dead holder at once exactly one gets the lock") {
  for (int round = 0; round < 20; ++round) {
    SimulatedDisk disk;
    left_by(disk, {"elsewhere", 1, "boot"}, 0.05);
    std::vector<std::unique_ptr<RunLock>> locks(6);
    std::vector<std::string> refused(locks.size());
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < locks.size(); ++i) {
      threads.emplace_back([&, i] {
        try {
          locks[i] = std::make_unique<RunLock>(disk, "run", on_host(std::to_string(i), 0.2));
        } catch (LockError const& error) {
          refused[i] = error.what();
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    int held = 0;
    for (std::size_t i = 0; i < locks.size(); ++i) {
      CHECK((locks[i] != nullptr) == refused[i].empty());
      if (!locks[i]) continue;
      ++held;
      CHECK_NOTHROW(locks[i]->check());
    }
    CHECK(held == 1);
    CHECK(names(disk) == std::vector<std::string>{"lock"});
  }
}

TEST_CASE("of many that find no lock exactly one gets it") {
  SimulatedDisk disk;
  std::vector<std::unique_ptr<RunLock>> locks(6);
  std::vector<std::thread> threads;
  for (auto& lock : locks) {
    threads.emplace_back([&] {
      try {
        lock = std::make_unique<RunLock>(disk, "run", on_host("a", 0.2));
      } catch (LockError const&) {
        lock = nullptr;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(std::ranges::count_if(locks, [](auto const& lock) { return lock != nullptr; }) == 1);
}

TEST_CASE("a successor that died while it took over is followed too") {
  SimulatedDisk disk;
  std::string const dead = left_by(disk, {"elsewhere", 1, "boot"}, 0.05);
  disk.rename("run/lock", "run/first");
  std::string const second = left_by(disk, {"other", 2, "boot"}, 0.05);
  disk.rename("run/lock", "run/lock." + dead);
  disk.rename("run/first", "run/lock");
  RunLock lock{disk, "run", on_host("a", 0.1)};
  CHECK_NOTHROW(lock.check());
  CHECK(names(disk) == std::vector<std::string>{"lock"});
}

TEST_CASE("a holder that has lost its lock notices, and leaves the new one alone") {
  SimulatedDisk disk;
  auto old = std::make_unique<RunLock>(disk, "run", on_host("old", 0.2));
  SECTION("taken over") {
    disk.remove_file("run/lock");  // as a newcomer sees it that waited for longer than the lease
    RunLock lock{disk, "run", on_host("new", 1000)};
    std::string const text = message_of<LockError>([&] { old->check(); });
    CHECK(contains(text, "run/lock: taken over by process 7 on new"));
    CHECK(old->lost());
    old.reset();
    CHECK_NOTHROW(lock.check());
  }
  SECTION("removed, and found by the counting thread") {
    disk.remove_file("run/lock");
    for (auto const start = Clock::now(); !old->lost() && since(start) < 20;)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    CHECK(old->lost());
    CHECK(contains(message_of<LockError>([&] { old->check(); }), "run/lock: removed"));
  }
}

TEST_CASE("errors of a lock: no lease, and a folder that cannot be written") {
  SimulatedDisk disk;
  CHECK_THROWS_AS((RunLock{disk, "run", {.lease_s = 0}}), InvalidArgument);
  auto const file = disk.create("file");
  file->close();
  CHECK_THROWS_AS((RunLock{disk, "file", {}}), IoError);
  RunLock lock{disk, "run", on_host("a", 1000)};
  disk.faults().fail_at(1, EIO);
  CHECK_THROWS_AS(lock.check(), IoError);
  CHECK_FALSE(lock.lost());
}

}  // namespace dsr
