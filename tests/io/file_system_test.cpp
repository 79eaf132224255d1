// SPDX-License-Identifier: Apache-2.0
// What every FileSystem does: the system's, the simulated disk and a wrapper without faults.
#include "dsr/io/file_system.hpp"

#include <atomic>
#include <cerrno>
#include <random>
#include <thread>

#include "io/on_file_systems.hpp"
#include "io/temporary_directory.hpp"
#include "support/catch.hpp"
#include "support/faulty_files.hpp"
#include "support/simulated_disk.hpp"

using namespace dsr;
using namespace dsr::test;

namespace {

/// A file system and an empty directory in it.
struct Subject {
  TemporaryDirectory temporary;
  SimulatedDisk disk;
  SimulatedDisk in_parts{{.largest_transfer = 3}};
  FaultyFiles faulty{system_files()};
  FileSystem& files;
  std::string at;

  explicit Subject(int which) : files(choose(which)), at(which < 2 ? temporary.path() : "/top") {
    if (which >= 2) files.make_directory(at);
  }
  FileSystem& choose(int which) {
    if (which == 0) return system_files();
    if (which == 1) return faulty;
    return which == 2 ? static_cast<FileSystem&>(disk) : in_parts;
  }
};

constexpr int kSubjects = 4;

}  // namespace

TEST_CASE("files: create, write, read, close") {
  Subject subject{GENERATE(range(0, kSubjects))};
  FileSystem& files = subject.files;
  std::string const path = subject.at + "/a";
  auto const file = files.create(path);
  file->write_at(5, bytes_of("world"));
  file->write_at(0, bytes_of("hello"));
  file->write_at(3, {});
  CHECK(file->size() == 10);
  std::string text(20, '?');
  CHECK(file->read_at(2, std::as_writable_bytes(std::span{text})) == 8);
  CHECK(text.substr(0, 9) == "lloworld?");
  CHECK(file->read_at(10, std::as_writable_bytes(std::span{text})) == 0);
  CHECK(file->read_at(99, std::as_writable_bytes(std::span{text})) == 0);
  file->sync_data();
  CHECK(error_of([&] { file->write_at(-1, bytes_of("x")); }) == EINVAL);
  CHECK(error_of([&] { file->read_at(-1, std::as_writable_bytes(std::span{text})); }) == EINVAL);
  file->close();
  CHECK(error_of([&] { file->write_at(0, bytes_of("x")); }) == EBADF);
  CHECK(error_of([&] { file->read_at(0, std::as_writable_bytes(std::span{text})); }) == EBADF);
  CHECK(error_of([&] { file->size(); }) == EBADF);
  CHECK(error_of([&] { file->sync_data(); }) == EBADF);
  CHECK(error_of([&] { file->allocate(1); }) == EBADF);
  CHECK(error_of([&] { file->close(); }) == EBADF);
  CHECK(get(files, path) == "helloworld");
}

TEST_CASE("files: a gap reads as zeros, allocating never shrinks") {
  Subject subject{GENERATE(range(0, kSubjects))};
  std::string const path = subject.at + "/a";
  auto const file = subject.files.create(path);
  file->write_at(3, bytes_of("x"));
  file->allocate(6);
  CHECK(file->size() == 6);
  file->allocate(0);
  file->allocate(2);
  CHECK(file->size() == 6);
  CHECK(error_of([&] { file->allocate(-1); }) == EINVAL);
  file->close();
  CHECK(get(subject.files, path) == std::string("\0\0\0x\0\0", 6));
}

TEST_CASE("files: what open modes allow") {
  Subject subject{GENERATE(range(0, kSubjects))};
  FileSystem& files = subject.files;
  std::string const path = subject.at + "/a";
  CHECK(error_of([&] { files.open(path); }) == ENOENT);
  CHECK(error_of([&] { files.open_for_writing(path); }) == ENOENT);
  put(files, path, "0123");
  CHECK(error_of([&] { files.create(path); }) == EEXIST);
  CHECK(error_of([&] { files.create(subject.at); }) == EEXIST);
  CHECK(get(files, path) == "0123");
  auto const reader = files.open(path);
  CHECK(error_of([&] { reader->write_at(0, bytes_of("x")); }) == EBADF);
  CHECK(error_of([&] { reader->allocate(100); }) == EBADF);
  files.open_for_writing(path)->write_at(1, bytes_of("AB"));
  CHECK(get(files, path) == "0AB3");
  CHECK_THROWS_AS(files.open(subject.at), IoError);
  CHECK_THROWS_AS(files.open_for_writing(subject.at), IoError);
  CHECK(error_of([&] { files.open(path + "/below"); }) == ENOTDIR);
  CHECK(error_of([&] { files.create(""); }) == ENOENT);
}

TEST_CASE("directories: make, list, remove") {
  Subject subject{GENERATE(range(0, kSubjects))};
  FileSystem& files = subject.files;
  std::string const at = subject.at + "/d";
  CHECK_FALSE(files.exists(at));
  CHECK(files.make_directory(at));
  CHECK_FALSE(files.make_directory(at));
  CHECK_FALSE(files.make_directory("/"));
  CHECK(files.exists(at));
  CHECK(files.list(at).empty());
  CHECK(files.make_directory(at + "/b"));
  put(files, at + "/c", "");
  put(files, at + "/a", "");
  CHECK_FALSE(files.make_directory(at + "/a"));
  CHECK(files.list(at) == std::vector<DirectoryEntry>{{"a", EntryKind::file},
                                                      {"b", EntryKind::directory},
                                                      {"c", EntryKind::file}});
  files.sync_directory(at);
  CHECK(error_of([&] { files.make_directory(at + "/no/d"); }) == ENOENT);
  CHECK(error_of([&] { files.list(at + "/no"); }) == ENOENT);
  CHECK(error_of([&] { files.list(at + "/a"); }) == ENOTDIR);
  CHECK(error_of([&] { files.sync_directory(at + "/no"); }) == ENOENT);
  CHECK(error_of([&] { files.sync_directory(at + "/a"); }) == ENOTDIR);
  CHECK(error_of([&] { files.remove_directory(at); }) == ENOTEMPTY);
  CHECK(error_of([&] { files.remove_directory(at + "/a"); }) == ENOTDIR);
  CHECK(error_of([&] { files.remove_file(at + "/b"); }) == EISDIR);
  files.remove_directory(at + "/b");
  files.remove_file(at + "/a");
  files.remove_file(at + "/c");
  CHECK(error_of([&] { files.remove_file(at + "/c"); }) == ENOENT);
  files.remove_directory(at);
  CHECK(error_of([&] { files.remove_directory(at); }) == ENOENT);
  CHECK_FALSE(files.exists(at));
  CHECK_FALSE(files.exists(at + "/b"));
}

TEST_CASE("rename and link") {
  Subject subject{GENERATE(range(0, kSubjects))};
  FileSystem& files = subject.files;
  auto const path = [&](char const* name) { return subject.at + "/" + name; };
  put(files, path("a"), "A");
  put(files, path("b"), "B");
  files.rename(path("a"), path("b"));
  CHECK(get(files, path("b")) == "A");
  CHECK_FALSE(files.exists(path("a")));
  files.link(path("b"), path("c"));
  files.open_for_writing(path("c"))->write_at(0, bytes_of("C"));
  CHECK(get(files, path("b")) == "C");
  CHECK(error_of([&] { files.link(path("b"), path("c")); }) == EEXIST);
  CHECK(error_of([&] { files.link(path("no"), path("d")); }) == ENOENT);
  CHECK(error_of([&] { files.rename(path("no"), path("d")); }) == ENOENT);
  files.make_directory(path("d"));
  CHECK(error_of([&] { files.link(path("d"), path("e")); }) == EPERM);
  CHECK(error_of([&] { files.rename(path("d"), path("b")); }) == ENOTDIR);
  CHECK(error_of([&] { files.rename(path("b"), path("d")); }) == EISDIR);
  CHECK(error_of([&] { files.rename(path("d"), path("d/d")); }) == EINVAL);
  files.make_directory(path("e"));
  files.rename(path("d"), path("e"));
  files.rename(path("c"), path("e/c"));
  files.make_directory(path("d"));
  CHECK(error_of([&] { files.rename(path("d"), path("e")); }) == ENOTEMPTY);
  CHECK(get(files, path("e/c")) == "C");
}

TEST_CASE("an open file outlives its name") {
  Subject subject{GENERATE(range(0, kSubjects))};
  std::string const path = subject.at + "/a";
  put(subject.files, path, "text");
  auto const file = subject.files.open(path);
  subject.files.remove_file(path);
  std::string text(4, '?');
  CHECK(file->read_at(0, std::as_writable_bytes(std::span{text})) == 4);
  CHECK(text == "text");
}

TEST_CASE("of many who make a directory or a file, one does") {
  Subject subject{GENERATE(range(0, kSubjects))};
  std::atomic<int> directories = 0, created = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([&] {
      if (subject.files.make_directory(subject.at + "/d")) ++directories;
      if (error_of([&] { subject.files.create(subject.at + "/f"); }) == 0) ++created;
    });
  for (auto& thread : threads) thread.join();
  CHECK(directories == 1);
  CHECK(created == 1);
}

TEST_CASE("free space") {
  Subject subject{GENERATE(range(0, kSubjects))};
  CHECK(subject.files.free_bytes(subject.at) > 0);
  CHECK(error_of([&] { subject.files.free_bytes(subject.at + "/no"); }) == ENOENT);
}

TEST_CASE("read_text refuses what is larger than allowed, and names it") {
  Subject subject{GENERATE(range(0, kSubjects))};
  std::string const path = subject.at + "/a";
  put(subject.files, path, "12345");
  CHECK(read_text(subject.files, path, 5) == "12345");
  std::string const text = message_of<IoError>([&] { read_text(subject.files, path, 4); });
  CHECK(contains(text, path));
  CHECK(contains(text, "5 bytes, allowed at most 4"));
  CHECK(error_of([&] { read_text(subject.files, subject.at + "/no", 4); }) == ENOENT);
}

TEST_CASE("make_directories of a FileSystem") {
  Subject subject{GENERATE(range(0, kSubjects))};
  FileSystem& files = subject.files;
  make_directories(files, subject.at + "/x/y//z/");
  make_directories(files, subject.at + "/x/y/z");
  make_directories(files, subject.at);
  make_directories(files, "/");
  make_directories(files, ".");
  CHECK(files.list(subject.at + "/x/y/z").empty());
  put(files, subject.at + "/file", "");
  CHECK(error_of([&] { make_directories(files, subject.at + "/file/below"); }) == ENOTDIR);
}

TEST_CASE("parent_directory") {
  CHECK(parent_directory("a/b") == "a");
  CHECK(parent_directory("a//b/") == "a");
  CHECK(parent_directory("/a/b") == "/a");
  CHECK(parent_directory("/a") == "/");
  CHECK(parent_directory("//a") == "/");
  CHECK(parent_directory("a") == ".");
  CHECK(parent_directory("a/") == ".");
  CHECK(parent_directory("/") == "/");
  CHECK(parent_directory("") == ".");
}

namespace {

/// One random call, and all that can be known of its outcome.
std::string random_call(FileSystem& files, std::string const& at, std::mt19937& random) {
  auto const name = [&] {
    std::string path = at;
    for (auto depth = 1 + random() % 3; depth > 0; --depth)
      path += std::string("/") + static_cast<char>('a' + random() % 3);
    return path;
  };
  std::string const path = name();
  std::string const other = name();
  auto const kind = random() % 10;
  auto const place = static_cast<Size>(random() % 2000);
  std::string const text(random() % 1500, static_cast<char>('a' + random() % 26));
  std::string found;
  int const error = error_of([&] {
    if (kind == 0) put(files, path, text);
    if (kind == 1) files.open_for_writing(path)->write_at(place, bytes_of(text));
    if (kind == 2) files.open_for_writing(path)->allocate(place);
    if (kind == 3) found = files.make_directory(path) ? "made" : "there";
    if (kind == 4) files.rename(path, other);
    if (kind == 5) files.link(path, other);
    if (kind == 6) files.remove_file(path);
    if (kind == 7) files.remove_directory(path);
    if (kind == 8) found = files.exists(path) ? "exists" : "absent";
    if (kind == 9) found = get(files, path);
  });
  return std::to_string(kind) + ' ' + path.substr(at.size()) + ' ' + other.substr(at.size()) +
         ": " + std::to_string(error) + ' ' + found;
}

/// Names, kinds and contents below a directory.
void describe(FileSystem& files, std::string const& at, std::string const& indent,
              std::string& text) {
  for (DirectoryEntry const& entry : files.list(at)) {
    std::string const path = at + "/" + entry.name;
    text += indent + entry.name + '\n';
    if (entry.kind == EntryKind::directory)
      describe(files, path, indent + "  ", text);
    else
      text += indent + "= " + get(files, path) + '\n';
  }
}

}  // namespace

TEST_CASE("the simulated disk does what the system does, errors included") {
  unsigned const seed = GENERATE(range(0U, 20U));
  TemporaryDirectory const directory;
  SimulatedDisk disk{{.largest_transfer = 100}};
  disk.make_directory("/top");
  std::mt19937 one{seed};
  std::mt19937 two{seed};
  for (int call = 0; call < 300; ++call)
    REQUIRE(random_call(disk, "/top", one) == random_call(system_files(), directory.path(), two));
  std::string expected;
  std::string found;
  describe(system_files(), directory.path(), "", expected);
  describe(disk, "/top", "", found);
  CHECK(found == expected);
}
