// SPDX-License-Identifier: Apache-2.0
#pragma once
/// FileSystem: the calls that keep files over a crash, behind one interface, so that tests can put
/// a disk that loses power in the place of the real one.
///
///     FileSystem& files = system_files();
///     make_directories(files, "run/checkpoints");
///     std::unique_ptr<File> file = files.create("run/checkpoints/note.tmp");
///     file->write_at(0, std::as_bytes(std::span{text}));
///     file->sync_data();
///     file->close();
///     files.rename("run/checkpoints/note.tmp", "run/checkpoints/note");
///     files.sync_directory("run/checkpoints");
///
/// Every method throws IoError with path, action and reason; its error_number() is the system's. A
/// signal (EINTR) restarts what can be repeated safely: opening, reading, writing, allocating. A
/// sync or a close that failed is never repeated: the system may have dropped the data already, and
/// a second one would report success.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "dsr/core/shape.hpp"

namespace dsr {

/// Owns an open regular file. The destructor closes without checking. Any number of threads may
/// read and write different ranges; close() is called when they are done. After close() or if it
/// threw, every other call throws.
class File {
 public:
  File() = default;
  virtual ~File() = default;
  File(File const&) = delete;
  File& operator=(File const&) = delete;

  /// Writes all of it, or throws; a part may then be there.
  virtual void write_at(Size offset, std::span<std::byte const> bytes) = 0;
  /// The number of bytes read: fewer than asked for only at the end of the file.
  virtual Size read_at(Size offset, std::span<std::byte> bytes) = 0;
  /// Reserves space, and the file has at least that many bytes; it never shrinks. Where the file
  /// system cannot reserve, the file only grows.
  virtual void allocate(Size bytes) = 0;
  virtual Size size() = 0;
  /// What was written is there after a power loss; the file's name needs sync_directory().
  virtual void sync_data() = 0;
  /// The object is empty afterwards, also if this throws: some systems report a failed write here.
  virtual void close() = 0;
};

enum class EntryKind : std::uint8_t { file, directory, other };

struct DirectoryEntry {
  std::string name;
  EntryKind kind = EntryKind::other;
  bool operator==(DirectoryEntry const&) const = default;
};

/// Thread-safe. The last part of a path is not followed where it is a symbolic link, but for
/// list(), sync_directory() and free_bytes(): a user's directory may well be one.
class FileSystem {
 public:
  FileSystem() = default;
  virtual ~FileSystem() = default;
  FileSystem(FileSystem const&) = delete;
  FileSystem& operator=(FileSystem const&) = delete;

  /// A new file, to write and read; fails if anything has this name.
  virtual std::unique_ptr<File> create(std::string const& path) = 0;
  /// To read. Fails for what is not a regular file: nobody waits for a pipe's other end.
  virtual std::unique_ptr<File> open(std::string const& path) = 0;
  /// A file that exists, to write and read.
  virtual std::unique_ptr<File> open_for_writing(std::string const& path) = 0;

  /// False if something has this name. Of several callers at once, one gets true.
  virtual bool make_directory(std::string const& path) = 0;
  /// The entries made, renamed and removed in this directory are so after a power loss too.
  virtual void sync_directory(std::string const& path) = 0;
  /// In one step; replaces a file, or an empty directory by a directory, that has the name `to`.
  virtual void rename(std::string const& from, std::string const& to) = 0;
  /// A second name of a file; fails if anything has the name `to`.
  virtual void link(std::string const& from, std::string const& to) = 0;
  virtual void remove_file(std::string const& path) = 0;
  /// Fails unless it is empty.
  virtual void remove_directory(std::string const& path) = 0;

  /// Sorted by name, without "." and "..".
  virtual std::vector<DirectoryEntry> list(std::string const& path) = 0;
  /// Whether something has this name; throws if the system does not let one look.
  virtual bool exists(std::string const& path) = 0;
  /// What a user without privileges may still write there.
  virtual Size free_bytes(std::string const& path) = 0;
};

/// Ordinary system calls, one for each method, so that a tracer shows the protocol.
FileSystem& system_files();

/// The whole file. Throws IoError if it has more than `most_bytes`, before it is read.
std::string read_text(FileSystem& files, std::string const& path, Size most_bytes);

/// Makes a directory and its parents and syncs each directory that got an entry, and the one that
/// holds the deepest that was there: it may be left from a process that died before its own sync.
/// Throws IoError.
void make_directories(FileSystem& files, std::string const& path);

/// The part before the last '/': "." of a name alone, "/" of a name in the root.
std::string parent_directory(std::string const& path);

}  // namespace dsr
