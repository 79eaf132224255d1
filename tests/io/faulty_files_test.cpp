// SPDX-License-Identifier: Apache-2.0
// FaultyFiles, and with it the smallest protocol: a file is replaced, and needs every promise.
#include "support/faulty_files.hpp"

#include <cerrno>

#include "io/on_file_systems.hpp"
#include "io/temporary_directory.hpp"
#include "support/catch.hpp"
#include "support/simulated_disk.hpp"

using namespace dsr;
using namespace dsr::test;

namespace {

std::string const kOld(1500, 'o');
std::string const kNew(2500, 'n');

/// Replaces /d/note; acknowledged by returning.
void replace(FileSystem& files, std::string const& content) {
  auto const file = files.create("/d/note.tmp");
  file->allocate(std::ssize(content));
  file->write_at(0, bytes_of(content));
  file->sync_data();
  file->close();
  files.rename("/d/note.tmp", "/d/note");
  files.sync_directory("/d");
}

/// Cuts the power at each call of replace() in turn. Returns how often the note was neither what
/// was acknowledged nor, if nothing was, old or new.
int violations(std::optional<Call> weakened, Size& calls) {
  int wrong = 0;
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    bool acknowledged = false;
    for (Size cut = 1; !acknowledged; ++cut) {
      SimulatedDisk disk;
      FaultyFiles files{disk};
      make_directories(files, "/d");
      replace(files, kOld);
      if (weakened) files.weaken(*weakened);
      disk.faults().fail_at(cut, EIO, Lasting::persistent);
      acknowledged = error_of([&] { replace(files, kNew); }) == 0;
      calls = std::max(calls, cut - 1);
      disk.power_loss(seed * 100 + static_cast<std::uint64_t>(cut));
      std::string const note = disk.exists("/d/note") ? get(disk, "/d/note") : "";
      if (note != kNew && (acknowledged || note != kOld)) ++wrong;
    }
  }
  return wrong;
}

}  // namespace

TEST_CASE("each promise of a FileSystem is needed to replace a file") {
  Size calls = 0;
  CHECK(violations({}, calls) == 0);
  CHECK(calls == 7);
  CHECK(violations(Call::sync_data, calls) > 0);
  CHECK(violations(Call::sync_directory, calls) > 0);
  CHECK(violations(Call::rename, calls) > 0);
  CHECK(violations(Call::create, calls) ==
        0);  // another writer needs the exclusive flag, see below
}

TEST_CASE("without exclusive creation two writers mix") {
  SimulatedDisk disk;
  FaultyFiles files{disk};
  auto const one = files.create("/a");
  CHECK(error_of([&] { files.create("/a"); }) == EEXIST);
  CHECK_FALSE((files.make_directory("/d") && files.make_directory("/d")));
  files.weaken(Call::create);
  files.weaken(Call::make_directory);
  files.create("/a")->write_at(0, bytes_of("other"));
  one->write_at(0, bytes_of("mine"));
  CHECK(get(disk, "/a") == "miner");
  CHECK(files.make_directory("/d"));
}

TEST_CASE("weak calls do nothing, and link copies") {
  SimulatedDisk disk;
  FaultyFiles files{disk};
  for (Call const call : {Call::allocate, Call::close, Call::link, Call::rename})
    files.weaken(call);
  auto const file = files.create("/a");
  file->allocate(100);
  CHECK(file->size() == 0);
  file->write_at(0, bytes_of("text"));
  file->close();
  CHECK(file->size() == 4);
  files.link("/a", "/b");
  file->write_at(0, bytes_of("T"));
  CHECK(get(disk, "/a") == "Text");
  CHECK(get(disk, "/b") == "text");
  files.make_directory("/d");
  files.rename("/d", "/e");
  CHECK(files.list("/e").empty());
}

TEST_CASE("the nth call fails on the system's files") {
  int const error = GENERATE(ENOSPC, EIO, EROFS, EDQUOT, EINTR);
  Lasting const lasting = GENERATE(Lasting::once, Lasting::persistent);
  FaultyFiles files{system_files()};
  bool clean = false;
  for (Size n = 1; !clean; ++n) {
    TemporaryDirectory const directory;
    files.faults().fail_at(n, error, lasting);
    int const met = error_of([&] {
      auto const file = files.create(directory / "a");
      file->allocate(4);
      file->write_at(0, bytes_of("text"));
      file->sync_data();
      file->close();
      files.sync_directory(directory.path());
      files.rename(directory / "a", directory / "b");
    });
    if (n == 1) CHECK(met == (error == EINTR && lasting == Lasting::once ? 0 : error));
    if (met != 0) CHECK(met == error);
    clean = met == 0 && n > 7;
    files.faults().clear();
    if (met == 0) CHECK(slurp(directory / "b") == "text");
  }
}

TEST_CASE("a failed write of FaultyFiles writes half, a failed close closes") {
  SimulatedDisk disk;
  FaultyFiles files{disk};
  auto const file = files.create("/a");
  files.faults().fail_at(1, ENOSPC);
  CHECK(error_of([&] { file->write_at(0, bytes_of("12345678")); }) == ENOSPC);
  CHECK(get(disk, "/a") == "1234");
  files.faults().fail_at(Call::close, 1, EIO);
  CHECK(error_of([&] { file->close(); }) == EIO);
  CHECK(error_of([&] { file->size(); }) == EBADF);
  CHECK(files.operations() == 4);
}
