// SPDX-License-Identifier: Apache-2.0
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "dsr/io/file_system.hpp"
#include "libdsr/io/system.hpp"
#include "libdsr/io/system_file.hpp"

namespace dsr {
namespace {

void check(int result, std::string const& path, std::string_view action) {
  if (result != 0) detail::fail_io(path, action, errno);
}

/// Some file systems do not say the kind in the entry itself.
EntryKind kind_of(dirent const& entry, int directory) {
  if (entry.d_type == DT_REG) return EntryKind::file;
  if (entry.d_type == DT_DIR) return EntryKind::directory;
  if (entry.d_type != DT_UNKNOWN) return EntryKind::other;
  struct stat status {};
  if (::fstatat(directory, entry.d_name, &status, AT_SYMLINK_NOFOLLOW) != 0)
    return EntryKind::other;  // removed meanwhile
  if (S_ISREG(status.st_mode)) return EntryKind::file;
  return S_ISDIR(status.st_mode) ? EntryKind::directory : EntryKind::other;
}

class SystemFiles final : public FileSystem {
 public:
  std::unique_ptr<File> create(std::string const& path) override {
    return std::make_unique<detail::SystemFile>(path, O_CREAT | O_EXCL | O_RDWR);
  }
  std::unique_ptr<File> open(std::string const& path) override {
    return std::make_unique<detail::SystemFile>(path, O_RDONLY);
  }
  std::unique_ptr<File> open_for_writing(std::string const& path) override {
    return std::make_unique<detail::SystemFile>(path, O_RDWR);
  }

  bool make_directory(std::string const& path) override {
    constexpr mode_t kPermissions = 0777;  // the user's umask takes away from these
    int const result = ::mkdir(path.c_str(), kPermissions);
    if (result != 0 && errno == EEXIST) return false;
    check(result, path, "make the directory");
    return true;
  }
  void sync_directory(std::string const& path) override {
    detail::OpenFile const directory{path, O_RDONLY | O_DIRECTORY};
    check(::fsync(directory.descriptor()), path, "sync the directory");
  }
  void rename(std::string const& from, std::string const& to) override {
    std::string const action = "rename to " + to;
    check(::rename(from.c_str(), to.c_str()), from, action);
  }
  void link(std::string const& from, std::string const& to) override {
    std::string const action = "link as " + to;
    check(::link(from.c_str(), to.c_str()), from, action);
  }
  void remove_file(std::string const& path) override {
    check(::unlink(path.c_str()), path, "remove");
  }
  void remove_directory(std::string const& path) override {
    check(::rmdir(path.c_str()), path, "remove the directory");
  }

  std::vector<DirectoryEntry> list(std::string const& path) override {
    detail::OpenFile directory{path, O_RDONLY | O_DIRECTORY};
    std::unique_ptr<DIR, int (*)(DIR*)> const stream{::fdopendir(directory.descriptor()),
                                                     ::closedir};
    if (!stream) detail::fail_io(path, "list", errno);
    int const descriptor = directory.release();  // the stream's now
    std::vector<DirectoryEntry> entries;
    for (;;) {
      errno = 0;
      dirent const* const entry = ::readdir(stream.get());
      if (entry == nullptr) break;
      std::string name = entry->d_name;
      if (name == "." || name == "..") continue;
      EntryKind const kind = kind_of(*entry, descriptor);
      entries.push_back({std::move(name), kind});
    }
    check(errno, path, "list");
    std::ranges::sort(entries, {}, &DirectoryEntry::name);
    return entries;
  }
  bool exists(std::string const& path) override {
    struct stat status {};
    int const result = ::lstat(path.c_str(), &status);
    if (result != 0 && (errno == ENOENT || errno == ENOTDIR)) return false;
    check(result, path, "look at");
    return true;
  }
  Size free_bytes(std::string const& path) override {
    struct statvfs status {};
    check(::statvfs(path.c_str(), &status), path, "ask for free space");
    return static_cast<Size>(status.f_bavail) * static_cast<Size>(status.f_frsize);
  }
};

}  // namespace

FileSystem& system_files() {
  static SystemFiles files;  // has no state
  return files;
}

}  // namespace dsr
