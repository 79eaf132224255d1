// SPDX-License-Identifier: Apache-2.0
#include "dsr/checkpoint/hashed_file.hpp"

#include "dsr/core/error.hpp"
#include "io/temporary_directory.hpp"
#include "support/catch.hpp"

using namespace dsr;
using namespace dsr::test;

namespace {

std::span<std::byte const> bytes_of(std::string const& text) {
  return std::as_bytes(std::span{text});
}

}  // namespace

TEST_CASE("HashedFile hashes what lies in the file, holes too") {
  TemporaryDirectory const directory;
  Size const size = kHashBlock_bytes + 10'000;
  HashedFile file{system_files(), directory.path(), "a.h5", size};
  file.write(0, bytes_of("begin"));
  file.write(5, {});
  file.write(kHashBlock_bytes - 2, bytes_of("over the edge"));
  StoredFile const stored = file.finish();

  std::string const content = slurp(directory / "a.h5");
  REQUIRE(std::ssize(content) == size);
  CHECK(content.substr(0, 6) == std::string("begin\0", 6));
  CHECK(content.substr(kHashBlock_bytes - 2, 13) == "over the edge");
  CHECK(stored.name == "a.h5");
  CHECK(stored.bytes == size);
  CHECK(stored.blocks == std::vector{hash_text(bytes_of(content).first(kHashBlock_bytes)),
                                     hash_text(bytes_of(content).subspan(kHashBlock_bytes))});
  CHECK(stored.hash == file_hash(stored.blocks));
}

TEST_CASE("a file of no bytes has no blocks") {
  TemporaryDirectory const directory;
  StoredFile const stored = HashedFile{system_files(), directory.path(), "a", 0}.finish();
  CHECK(stored.blocks.empty());
  CHECK(stored.hash == file_hash({}));
  CHECK(slurp(directory / "a").empty());
}

TEST_CASE("HashedFile refuses what would not be hashed in order") {
  TemporaryDirectory const directory;
  HashedFile file{system_files(), directory.path(), "a.h5", 100};
  file.write(10, bytes_of("0123456789"));
  auto const refused = [&](Size offset, std::string const& text) {
    return message_of<InvalidArgument>([&] { file.write(offset, bytes_of(text)); });
  };
  CHECK(contains(refused(19, "x"), "1 bytes at 19, allowed 20 to 100"));
  CHECK(contains(refused(-1, "x"), "a.h5"));
  CHECK(contains(refused(99, "xy"), "a.h5"));
  CHECK(contains(refused(101, ""), "a.h5"));
  file.write(98, bytes_of("ok"));
  CHECK(file.finish().bytes == 100);
}

TEST_CASE("HashedFile makes new files only") {
  TemporaryDirectory const directory;
  directory.write("a.h5", "precious");
  CHECK(contains(
      message_of<IoError>([&] { HashedFile(system_files(), directory.path(), "a.h5", 5); }),
      "a.h5"));
  CHECK(slurp(directory / "a.h5") == "precious");
}
