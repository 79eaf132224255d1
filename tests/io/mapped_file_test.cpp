// SPDX-License-Identifier: Apache-2.0
#include "dsr/io/mapped_file.hpp"

#include <string>
#include <utility>

#include "dsr/core/error.hpp"
#include "io/temporary_directory.hpp"
#include "support/catch.hpp"

using namespace dsr;
using namespace dsr::test;

namespace {
std::string text_of(MappedFile const& file) {
  return {reinterpret_cast<char const*>(file.bytes().data()), file.bytes().size()};
}
}  // namespace

TEST_CASE("MappedFile shows the file's bytes") {
  TemporaryDirectory const directory;
  std::string content(10'000, 'a');
  content[9'999] = '\0';
  MappedFile file{directory.write("data", content)};
  CHECK(text_of(file) == content);
  CHECK(file.path() == directory / "data");

  MappedFile moved = std::move(file);
  CHECK(text_of(moved) == content);
  CHECK(file.bytes().empty());
  MappedFile other{directory.write("other", "xyz")};
  other = std::move(moved);
  CHECK(text_of(other) == content);
}

TEST_CASE("MappedFile of an empty file has no bytes") {
  TemporaryDirectory const directory;
  CHECK(MappedFile{directory.write("empty", "")}.bytes().empty());
}

TEST_CASE("MappedFile names the path and the reason") {
  TemporaryDirectory const directory;
  std::string const text = message_of<IoError>([&] { MappedFile{directory / "absent"}; });
  CHECK(contains(text, directory / "absent"));
  CHECK(contains(text, "No such file"));
  CHECK(contains(message_of<IoError>([&] { MappedFile{directory.path()}; }), "directory"));
  CHECK(contains(message_of<IoError>([] { MappedFile{"/dev/null"}; }), "regular"));
}
