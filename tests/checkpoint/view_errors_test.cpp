// SPDX-License-Identifier: Apache-2.0
/// What view_test.py does not see: a view is replaced, and errors.
#include "checkpoint/manifest_text.hpp"
#include "dsr/checkpoint/container.hpp"
#include "dsr/core/error.hpp"
#include "io/temporary_directory.hpp"
#include "support/catch.hpp"

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
