// SPDX-License-Identifier: Apache-2.0
/// What view_test.py does not see: a view is replaced, and errors.
#include <cerrno>

#include "checkpoint/manifest_text.hpp"
#include "dsr/checkpoint/container.hpp"
#include "dsr/core/error.hpp"
#include "io/temporary_directory.hpp"
#include "support/catch.hpp"
#include "support/faulty_files.hpp"

using namespace dsr;
using namespace dsr::test;

TEST_CASE("a view is replaced, and says what it is") {
  TemporaryDirectory const directory;
  directory.write("checkpoint.h5", "an old view");
  directory.write("checkpoint.h5.tmp", "what a crash left");
  Manifest const manifest = sample_manifest();
  StoredFile const stored = write_view(system_files(), directory.path(), manifest);
  std::string const content = slurp(directory / "checkpoint.h5");
  CHECK(stored.name == "checkpoint.h5");
  CHECK(stored.bytes == std::ssize(content));
  CHECK(stored.hash == file_hash({hash_text(std::as_bytes(std::span{content}))}));
  CHECK(content.starts_with("\x89HDF"));
  CHECK_FALSE(system_files().exists(directory / "checkpoint.h5.tmp"));
  // Listed in the manifest it changes nothing: no slice lies in it.
  Manifest listed = manifest;
  listed.files.push_back(stored);
  CHECK(write_view(system_files(), directory.path(), listed).hash == stored.hash);
}

TEST_CASE("write_view throws what it says") {
  TemporaryDirectory const directory;
  Manifest manifest = sample_manifest();
  std::string const absent = directory / "absent";
  CHECK(
      contains(message_of<IoError>([&] { write_view(system_files(), absent, manifest); }), absent));
  manifest.tensors[0].slices[0].file = 7;
  CHECK(contains(
      message_of<InvalidArgument>([&] { write_view(system_files(), directory.path(), manifest); }),
      "tensors[0].slices[0].file"));
  CHECK(system_files().list(directory.path()).empty());
}

TEST_CASE("whatever call fails, the old view is there or the new one, and success means all") {
  TemporaryDirectory const whole;
  Manifest const manifest = sample_manifest();
  write_view(system_files(), whole.path(), manifest);
  std::string const wanted = slurp(whole / "checkpoint.h5");
  for (int const reason : {EIO, ENOSPC, EDQUOT, EROFS, EINTR}) {
    for (Lasting const lasting : {Lasting::once, Lasting::persistent}) {
      bool clean = false;
      for (Size nth = 1; !clean; ++nth) {
        REQUIRE(nth < 100);
        TemporaryDirectory const directory;
        directory.write("checkpoint.h5", "an old view");
        FaultyFiles files{system_files()};
        files.faults().fail_at(nth, reason, lasting);
        bool acknowledged = false;
        try {
          write_view(files, directory.path(), manifest);
          acknowledged = true;
        } catch (IoError const& error) {
          CHECK(error.error_number() == reason);
        }
        clean = files.operations() < nth;
        std::string const content = slurp(directory / "checkpoint.h5");
        CHECK((content == wanted || (!acknowledged && content == "an old view")));
        CHECK((acknowledged || reason != EINTR || !clean));
      }
    }
  }
}

TEST_CASE("a view is synced and closed before it has its name") {
  TemporaryDirectory const directory;
  for (Call const call : {Call::allocate, Call::write_at, Call::sync_data, Call::close}) {
    FaultyFiles files{system_files()};
    files.faults().fail_at(call, 1, EIO);
    CHECK_THROWS_AS(write_view(files, directory.path(), sample_manifest()), IoError);
    CHECK_FALSE(system_files().exists(directory / "checkpoint.h5"));
  }
}
