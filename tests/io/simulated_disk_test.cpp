// SPDX-License-Identifier: Apache-2.0
// What a simulated power loss keeps, may lose and must never do.
#include "support/simulated_disk.hpp"

#include <cerrno>
#include <functional>
#include <set>

#include "io/on_file_systems.hpp"
#include "support/catch.hpp"

using namespace dsr;
using namespace dsr::test;

namespace {

constexpr int kSeeds = 400;

/// All that is there, as "name=content" or "name/", below the root.
std::string state_of(FileSystem& files, std::string const& at = "") {
  std::string text;
  for (DirectoryEntry const& entry : files.list(at.empty() ? "/" : at)) {
    std::string const path = at + "/" + entry.name;
    if (entry.kind == EntryKind::directory)
      text += entry.name + "/(" + state_of(files, path) + ") ";
    else
      text += entry.name + "=" + get(files, path) + " ";
  }
  return text;
}

/// The states that power losses leave after the same calls.
std::set<std::string> outcomes(std::function<void(SimulatedDisk&)> const& work,
                               DiskOptions const& options = {}, std::optional<int> node = {}) {
  std::set<std::string> states;
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    SimulatedDisk disk{options};
    work(disk);
    disk.power_loss(seed, node);
    states.insert(state_of(disk));
  }
  return states;
}

using States = std::set<std::string>;

}  // namespace

TEST_CASE("what was synced is there after every power loss") {
  CHECK(outcomes([](SimulatedDisk& disk) {
          make_directories(disk, "/d/e");
          put(disk, "/d/e/a", "text", Synced::yes);
          disk.sync_directory("/d/e");
        }) == States{"d/(e/(a=text ) ) "});
}

TEST_CASE("a name needs the sync of its directory, and data that of its file") {
  CHECK(outcomes([](SimulatedDisk& disk) { put(disk, "/a", "text", Synced::yes); }) ==
        States{"", "a=text "});
  CHECK(outcomes([](SimulatedDisk& disk) {
          put(disk, "/a", "text");
          disk.sync_directory("/");
        }) == States{"a= ", "a=text ", std::string("a=\0\0\0\0 ", 7)});
}

TEST_CASE("what lies in a lost directory is lost") {
  CHECK(outcomes([](SimulatedDisk& disk) {
          disk.make_directory("/d");
          put(disk, "/d/a", "x", Synced::yes);
          disk.sync_directory("/d");
        }) == States{"", "d/(a=x ) "});
}

TEST_CASE("names are lost in any order") {
  CHECK(outcomes([](SimulatedDisk& disk) {
          put(disk, "/a", "", Synced::yes);
          put(disk, "/b", "", Synced::yes);
        }) == States{"", "a= ", "b= ", "a= b= "});
}

TEST_CASE("a rename is kept or lost as a whole") {
  auto const prepared = [](SimulatedDisk& disk) {
    disk.make_directory("/d");
    put(disk, "/a", "old", Synced::yes);
    put(disk, "/b", "new", Synced::yes);
    disk.sync_directory("/");
  };
  CHECK(outcomes([&](SimulatedDisk& disk) {
          prepared(disk);
          disk.rename("/b", "/a");
        }) == States{"a=old b=new d/() ", "a=new d/() "});
  // Over two directories both must be synced.
  States const either{"a=old b=new d/() ", "a=old d/(b=new ) "};
  for (char const* only : {"/", "/d"})
    CHECK(outcomes([&](SimulatedDisk& disk) {
            prepared(disk);
            disk.rename("/b", "/d/b");
            disk.sync_directory(only);
          }) == either);
  CHECK(outcomes([&](SimulatedDisk& disk) {
          prepared(disk);
          disk.rename("/b", "/d/b");
          disk.sync_directory("/d");
          disk.sync_directory("/");
        }) == States{"a=old d/(b=new ) "});
}

TEST_CASE("what was renamed, and not synced before, can be torn under its new name") {
  States const states = outcomes([](SimulatedDisk& disk) {
    put(disk, "/a.tmp", "text");
    disk.rename("/a.tmp", "/a");
    disk.sync_directory("/");
  });
  CHECK(states.contains("a= "));
  CHECK(states.contains("a=text "));
}

TEST_CASE("removals can be undone, links kept apart") {
  CHECK(outcomes([](SimulatedDisk& disk) {
          put(disk, "/a", "x", Synced::yes);
          disk.sync_directory("/");
          disk.remove_file("/a");
        }) == States{"", "a=x "});
  CHECK(outcomes([](SimulatedDisk& disk) {
          put(disk, "/a", "x", Synced::yes);
          disk.sync_directory("/");
          disk.link("/a", "/b");
          disk.remove_file("/a");
          disk.make_directory("/d");
          disk.remove_directory("/d");
        }).contains("b=x "));
}

TEST_CASE("sectors are torn, each to one of its versions") {
  constexpr Size kSectors = 4;
  auto const whole = static_cast<std::size_t>(kSectors * kSector_bytes);
  std::set<std::string> seen;
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    SimulatedDisk disk;
    put(disk, "/a", std::string(whole, 'a'), Synced::yes);
    disk.sync_directory("/");
    auto const file = disk.open_for_writing("/a");
    file->write_at(0, bytes_of(std::string(whole, 'b')));
    file->write_at(256, bytes_of(std::string(512, 'c')));  // half of the first two sectors
    disk.power_loss(seed);
    std::string const text = get(disk, "/a");
    REQUIRE(text.size() == whole);
    std::string summary;
    for (std::size_t half = 0; half < whole; half += 256) {
      REQUIRE(text.substr(half, 256) == std::string(256, text[half]));
      summary += text[half];
    }
    std::set<std::string> const first{"aa", "bb", "bc"};
    std::set<std::string> const second{"aa", "bb", "cb"};
    std::set<std::string> const others{"aa", "bb"};
    REQUIRE(first.contains(summary.substr(0, 2)));
    REQUIRE(second.contains(summary.substr(2, 2)));
    REQUIRE(others.contains(summary.substr(4, 2)));
    REQUIRE(others.contains(summary.substr(6, 2)));
    seen.insert(summary);
  }
  CHECK(seen.size() == 3 * 3 * 2 * 2);
}

TEST_CASE("a failed sync is not repaired by another") {
  States const either{"a=new ", "a=old "};
  auto const begun = [](SimulatedDisk& disk) {
    put(disk, "/a", "old", Synced::yes);
    disk.sync_directory("/");
    auto file = disk.open_for_writing("/a");
    file->write_at(0, bytes_of("new"));
    return file;
  };
  CHECK(outcomes([&](SimulatedDisk& disk) { begun(disk)->sync_data(); }) == States{"a=new "});
  CHECK(outcomes([&](SimulatedDisk& disk) {
          auto const file = begun(disk);
          disk.faults().fail_at(1, EIO);
          REQUIRE(error_of([&] { file->sync_data(); }) == EIO);
          file->sync_data();
        }) == either);
  CHECK(outcomes([&](SimulatedDisk& disk) {
          auto const file = begun(disk);
          disk.faults().fail_at(Call::close, 1, EDQUOT);
          REQUIRE(error_of([&] { file->close(); }) == EDQUOT);
          disk.open("/a")->sync_data();
        }) == either);
  CHECK(outcomes([&](SimulatedDisk& disk) {
          put(disk, "/a", "new", Synced::yes);
          disk.faults().fail_at(1, EIO);
          REQUIRE(error_of([&] { disk.sync_directory("/"); }) == EIO);
          disk.sync_directory("/");
        }) == States{"", "a=new "});
  // What is written again after the failure is durable again.
  CHECK(outcomes([&](SimulatedDisk& disk) {
          auto const file = begun(disk);
          disk.faults().fail_at(1, EIO);
          REQUIRE(error_of([&] { file->sync_data(); }) == EIO);
          file->write_at(0, bytes_of("new"));
          file->sync_data();
        }) == States{"a=new "});
}

TEST_CASE("a node's journal: a sync covers its own node's names only") {
  auto const work = [](SimulatedDisk& disk) {
    put(disk.node(1), "/b", "", Synced::yes);
    put(disk, "/a", "", Synced::yes);
    disk.sync_directory("/");
  };
  CHECK(outcomes(work) == States{"a= b= "});
  CHECK(outcomes(work, {.journal = Journal::by_node}) == States{"a= ", "a= b= "});
  CHECK(outcomes(
            [&](SimulatedDisk& disk) {
              work(disk);
              disk.node(1).sync_directory("/");
            },
            {.journal = Journal::by_node}) == States{"a= b= "});
}

TEST_CASE("one node loses power: what others did stays, and is theirs to sync") {
  auto const work = [](SimulatedDisk& disk) {
    put(disk, "/a", "A");
    put(disk.node(1), "/b", "B", Synced::yes);
  };
  CHECK(outcomes(work, {}, 1) == States{"a=A ", "a=A b=B "});
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    SimulatedDisk disk{{.journal = Journal::by_node}};
    work(disk);
    auto const mine = disk.open("/a");
    auto const theirs = disk.node(1).open("/b");
    disk.power_loss(seed, 1);
    CHECK(mine->size() == 1);
    CHECK(error_of([&] { theirs->size(); }) == EIO);
    mine->sync_data();
    disk.sync_directory("/");
    disk.power_loss(seed);
    CHECK(state_of(disk).starts_with("a=A "));
    CHECK(error_of([&] { mine->close(); }) == EIO);
  }
}

TEST_CASE("make_directories outlives its own death and the power's") {
  // A process that died between mkdir and sync left /d; the next one builds on it.
  CHECK(outcomes([](SimulatedDisk& disk) {
          disk.make_directory("/d");
          make_directories(disk, "/d/e/f");
        }) == States{"d/(e/(f/() ) ) "});
}

TEST_CASE("make_directories needs the syncs of what it made, and any sound one before") {
  auto const error_at = [](Size sync, int error) {
    SimulatedDisk disk;
    disk.make_directory("/d");
    disk.faults().fail_at(Call::sync_directory, sync, error);
    return error_of([&] { make_directories(disk, "/d/e"); });
  };
  for (int const harmless : {EACCES, EROFS, EINVAL}) CHECK(error_at(1, harmless) == 0);
  CHECK(error_at(1, EIO) == EIO);
  CHECK(error_at(2, EACCES) == EACCES);
}

TEST_CASE("faults: the nth call, its kind, once or from then on") {
  SimulatedDisk disk;
  disk.faults().fail_at(2, EROFS);
  CHECK(disk.make_directory("/a"));
  CHECK(error_of([&] { disk.make_directory("/b"); }) == EROFS);
  CHECK(disk.make_directory("/b"));
  disk.faults().fail_at(1, EIO, Lasting::persistent);
  for (int n = 0; n < 3; ++n) CHECK(error_of([&] { disk.exists("/a"); }) == EIO);
  disk.faults().clear();
  CHECK(disk.exists("/a"));
  disk.faults().fail_at(Call::rename, 2, EIO);
  disk.rename("/a", "/c");
  CHECK(disk.exists("/c"));
  CHECK(error_of([&] { disk.rename("/c", "/a"); }) == EIO);
  CHECK(disk.exists("/c"));
  CHECK(disk.operations() == 11);
  disk.faults().fail_at(1, EIO, Lasting::persistent);
  disk.power_loss(0);
  CHECK_NOTHROW(disk.list("/"));
}

TEST_CASE("faults: a failed write writes half, an interrupted one all") {
  SimulatedDisk disk{{.largest_transfer = 3}};
  disk.faults().fail_at(1, EINTR, Lasting::persistent);
  auto const file = disk.create("/a");
  file->write_at(0, bytes_of("0123456789"));
  std::string text(10, '?');
  CHECK(file->read_at(0, std::as_writable_bytes(std::span{text})) == 10);
  CHECK(text == "0123456789");
  file->allocate(12);
  CHECK(error_of([&] { file->sync_data(); }) == EINTR);
  CHECK(error_of([&] { file->close(); }) == EINTR);
  disk.faults().clear();
  auto const again = disk.open_for_writing("/a");
  disk.faults().fail_at(1, ENOSPC);
  CHECK(error_of([&] { again->write_at(0, bytes_of("abcdefghij")); }) == ENOSPC);
  CHECK(get(disk, "/a").substr(0, 10) == "abcde56789");
}

TEST_CASE("a full disk") {
  SimulatedDisk disk{{.capacity = 1000}};
  auto const file = disk.create("/a");
  file->allocate(600);
  CHECK(disk.free_bytes("/") == 400);
  auto const other = disk.create("/b");
  CHECK(error_of([&] { other->allocate(401); }) == ENOSPC);
  CHECK(error_of([&] { other->write_at(0, bytes_of(std::string(500, 'x'))); }) == ENOSPC);
  CHECK(disk.free_bytes("/") == 0);
  file->write_at(0, bytes_of(std::string(600, 'y')));
  other->close();
  disk.remove_file("/b");
  disk.sync_directory("/");
  CHECK(disk.free_bytes("/") == 400);
}
