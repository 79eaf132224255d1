// SPDX-License-Identifier: Apache-2.0
#include "dsr/io/files.hpp"

#include <filesystem>
#include <utility>

#include "dsr/core/error.hpp"
#include "io/temporary_directory.hpp"
#include "support/catch.hpp"

using namespace dsr;
using namespace dsr::test;

TEST_CASE("read_text gives every byte") {
  TemporaryDirectory const directory;
  std::string content = "first\r\n\0second\n";
  content.append(200'000, 'x');  // more than one chunk
  CHECK(read_text(directory.write("a.txt", content)) == content);
  CHECK(read_text(directory.write("empty.txt", "")).empty());
}

TEST_CASE("file_exists tells files and directories from nothing") {
  test::TemporaryDirectory directory;
  CHECK(file_exists(directory.write("a.txt", "")));
  CHECK(file_exists(directory.path()));
  CHECK_FALSE(file_exists(directory.path() + "/b.txt"));
  CHECK_FALSE(file_exists(directory.path() + "/a.txt/b.txt"));
  CHECK_FALSE(file_exists(""));
}

TEST_CASE("read_text names the path and the reason") {
  TemporaryDirectory const directory;
  std::string const path = directory / "absent.toml";
  std::string const text = message_of<IoError>([&] { read_text(path); });
  CHECK(contains(text, path));
  CHECK(contains(text, "No such file"));
  CHECK(contains(message_of<IoError>([&] { read_text(directory.path()); }), "directory"));
  CHECK_FALSE(message_of<IoError>([&] { read_text(""); }).empty());
}

TEST_CASE("FileWriter appends whole lines and makes parents") {
  TemporaryDirectory const directory;
  std::string const path = directory / "a/b/lines.txt";
  {
    FileWriter writer{path};
    writer.line("one");
    CHECK(slurp(path) == "one\n");  // seen before the writer ends
    FileWriter moved = std::move(writer);
    moved.line("two");
  }
  FileWriter{path}.line("three");
  CHECK(slurp(path) == "one\ntwo\nthree\n");
  FileWriter other{directory / "c.txt"};
  other = FileWriter{path, FileStart::empty};
  other.line("");
  CHECK(slurp(path) == "\n");
  CHECK(other.path() == path);
}

TEST_CASE("FileWriter reports what the system refuses") {
  TemporaryDirectory const directory;
  std::string const file = directory.write("file", "x");
  CHECK(contains(message_of<IoError>([&] { FileWriter{file + "/below.txt"}; }), file));
  CHECK(contains(message_of<IoError>([&] { FileWriter{directory.path()}; }), "directory"));
  FileWriter full{"/dev/full"};
  std::string const text = message_of<IoError>([&] { full.line("no room"); });
  CHECK(contains(text, "/dev/full"));
  CHECK(contains(text, "No space left"));
}

TEST_CASE("make_directories") {
  TemporaryDirectory const directory;
  std::string const path = directory / "x/y/z";
  make_directories(path);
  make_directories(path);
  make_directories(directory / "slash/");
  CHECK(std::filesystem::is_directory(path));
  std::string const file = directory.write("file", "x");
  CHECK_THROWS_AS(make_directories(file), IoError);
  CHECK_THROWS_AS(make_directories(file + "/below"), IoError);
}

TEST_CASE("require_writable_directory probes and leaves nothing") {
  TemporaryDirectory const directory;
  std::string const path = directory / "run";
  require_writable_directory(path);
  CHECK(std::filesystem::is_directory(path));
  CHECK(std::filesystem::is_empty(path));

  // Root may write where modes forbid it, so these are places where nobody may.
  std::string const file = directory.write("file", "x");
  CHECK(contains(message_of<IoError>([&] { require_writable_directory(file + "/run"); }), file));
  CHECK(contains(message_of<IoError>([] { require_writable_directory("/proc/self"); }),
                 "/proc/self"));
  try {
    require_writable_directory("/proc/no/such");
    FAIL("no error");
  } catch (IoError const& error) {
    CHECK(error.exit_code() == 74);
  }
}
