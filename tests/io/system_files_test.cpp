// SPDX-License-Identifier: Apache-2.0
// What only the system's files have: links, pipes, limits, descriptors.
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>

#include "io/on_file_systems.hpp"
#include "io/temporary_directory.hpp"
#include "support/catch.hpp"

using namespace dsr;
using namespace dsr::test;

namespace {

std::ptrdiff_t open_descriptors() {
  return std::distance(std::filesystem::directory_iterator{"/proc/self/fd"},
                       std::filesystem::directory_iterator{});
}

/// No file of this process may grow beyond this, while it lives.
class LargestFile {
 public:
  explicit LargestFile(rlim_t bytes) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    rlimit const limit{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    handler_ = std::signal(SIGXFSZ, SIG_IGN);
  }
  ~LargestFile() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }
  LargestFile(LargestFile const&) = delete;
  LargestFile& operator=(LargestFile const&) = delete;

 private:
  rlimit before_{};
  void (*handler_)(int) = nullptr;
};

}  // namespace

TEST_CASE("a symbolic link is not followed to a file") {
  TemporaryDirectory const directory;
  std::string const target = directory.write("target", "secret");
  std::string const link = directory / "link";
  std::filesystem::create_symlink(target, link);
  CHECK(error_of([&] { system_files().open(link); }) == ELOOP);
  CHECK(error_of([&] { system_files().open_for_writing(link); }) == ELOOP);
  CHECK(error_of([&] { system_files().create(link); }) == EEXIST);
  CHECK(error_of([&] { read_text(system_files(), link, 100); }) == ELOOP);
  std::filesystem::remove(target);
  CHECK(system_files().exists(link));
  CHECK(error_of([&] { system_files().create(link); }) == EEXIST);
  CHECK_FALSE(std::filesystem::exists(target));
}

TEST_CASE("a symbolic link to a directory may be a user's directory") {
  TemporaryDirectory const directory;
  std::filesystem::create_directory(directory / "target");
  std::filesystem::create_directory_symlink(directory / "target", directory / "link");
  make_directories(system_files(), directory / "link/below");
  system_files().sync_directory(directory / "link");
  CHECK(system_files().list(directory / "link") ==
        std::vector<DirectoryEntry>{{"below", EntryKind::directory}});
}

TEST_CASE("pipes and devices are refused, without waiting") {
  TemporaryDirectory const directory;
  std::string const pipe = directory / "pipe";
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  std::filesystem::create_symlink("nowhere", directory / "link");
  CHECK(contains(message_of<IoError>([&] { system_files().open(pipe); }), "regular"));
  CHECK(contains(message_of<IoError>([&] { system_files().open_for_writing(pipe); }), "regular"));
  CHECK_THROWS_AS(system_files().open("/dev/null"), IoError);
  CHECK(system_files().list(directory.path()) ==
        std::vector<DirectoryEntry>{{"link", EntryKind::other}, {"pipe", EntryKind::other}});
}

TEST_CASE("errors name path, action and reason") {
  TemporaryDirectory const directory;
  FileSystem& files = system_files();
  std::string const absent = directory / "absent";
  auto const says = [](auto call, std::string const& path, std::string_view rest) {
    CHECK(message_of<IoError>(call) == "dsr: " + path + ": cannot " + std::string{rest});
  };
  says([&] { files.open(absent); }, absent, "open: No such file or directory");
  says([&] { files.rename(absent, "b"); }, absent, "rename to b: No such file or directory");
  says([&] { files.link(absent, "b"); }, absent, "link as b: No such file or directory");
  says([&] { files.remove_file(absent); }, absent, "remove: No such file or directory");
  says([&] { files.create(directory.path()); }, directory.path(), "open: File exists");
  std::string const long_name = directory / std::string(300, 'x');
  says([&] { files.exists(long_name); }, long_name, "look at: File name too long");
}

TEST_CASE("a write that the system takes in part goes on, and reports what stopped it") {
  TemporaryDirectory const directory;
  std::string const path = directory / "a";
  auto const file = system_files().create(path);
  {
    LargestFile const limit{1000};
    CHECK(error_of([&] { file->write_at(0, bytes_of(std::string(1500, 'x'))); }) == EFBIG);
    CHECK(error_of([&] { file->allocate(1001); }) == EFBIG);
  }
  file->write_at(1000, bytes_of("y"));
  file->close();
  CHECK(slurp(path) == std::string(1000, 'x') + "y");
}

TEST_CASE("allocating reserves, or says that it cannot") {
  TemporaryDirectory const directory;
  std::string const path = directory / "a";
  auto const file = system_files().create(path);
  constexpr Size kPebibyte = Size{1} << 50U;
  if (int const error = error_of([&] { file->allocate(kPebibyte); }))
    CHECK((error == ENOSPC || error == EFBIG));
  auto const other = system_files().create(directory / "b");
  other->allocate(1 << 20);
  struct stat status {};
  REQUIRE(::stat((directory / "b").c_str(), &status) == 0);
  CHECK(status.st_size == 1 << 20);
}

TEST_CASE("files are closed, whoever closes them") {
  TemporaryDirectory const directory;
  auto const before = open_descriptors();
  {
    auto const closed = system_files().create(directory / "a");
    auto const left = system_files().create(directory / "b");
    CHECK(open_descriptors() == before + 2);
    closed->close();
    CHECK(open_descriptors() == before + 1);
  }
  {
    auto file = system_files().create(directory / "c");
    file->close();
    auto const next = system_files().create(directory / "d");  // has the number that became free
    CHECK(error_of([&] { file->write_at(0, bytes_of("x")); }) == EBADF);
    file.reset();
    CHECK(error_of([&] { next->size(); }) == 0);
  }
  CHECK_THROWS_AS(system_files().open(directory.path()), IoError);
  CHECK_THROWS_AS(system_files().list(directory / "a"), IoError);
  system_files().list(directory.path());
  system_files().sync_directory(directory.path());
  CHECK(open_descriptors() == before);
}
