// SPDX-License-Identifier: Apache-2.0
#pragma once
/// FaultyFiles: any FileSystem, with calls that fail, or that stop promising what they promise.
///
///     FaultyFiles files{system_files()};
///     files.faults().fail_at(n, ENOSPC);       // the n-th call from now
///     files.weaken(Call::sync_data);           // sync_data() does nothing, and says it went well
///     files.weaken({Call::sync_directory, "/run/tier", 2});  // only the second one there
///     files.watch([&](CallPlace const& place) { … });  // before each call
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "dsr/io/file_system.hpp"
#include "support/faults.hpp"

namespace dsr::test {

/// One call among those that a program makes: the nth of its kind on a path, from 1.
struct CallPlace {
  Call call = Call::create;
  std::string path;
  int nth = 1;
  auto operator<=>(CallPlace const&) const = default;
};

/// `files` lives longer than this, and this longer than the files it opens. Thread-safe.
class FaultyFiles final : public FileSystem {
 public:
  explicit FaultyFiles(FileSystem& files) : files_(files) {}

  /// A failed write writes half, a failed close closes, any other failed call does nothing. EINTR
  /// is seen only from calls that are not restarted.
  Faults& faults() { return faults_; }
  Size operations() const { return faults_.calls(); }

  /// Takes away a promise, to show which scenario needs it: sync_data, sync_directory, close and
  /// allocate do nothing; create and make_directory accept what exists; rename of a file becomes a
  /// copy that can be seen half done, then a removal, rename of a directory moves its entries one
  /// by one; link becomes a copy. Others stay as they are.
  void weaken(Call call);
  /// The same of one call alone.
  void weaken(CallPlace place);
  /// Called before each call, by the thread that makes it: it may end the process.
  using Watch = std::function<void(CallPlace const&)>;
  void watch(Watch watch);

  std::unique_ptr<File> create(std::string const& path) override;
  std::unique_ptr<File> open(std::string const& path) override;
  std::unique_ptr<File> open_for_writing(std::string const& path) override;
  bool make_directory(std::string const& path) override;
  void sync_directory(std::string const& path) override;
  void rename(std::string const& from, std::string const& to) override;
  void link(std::string const& from, std::string const& to) override;
  void remove_file(std::string const& path) override;
  void remove_directory(std::string const& path) override;
  std::vector<DirectoryEntry> list(std::string const& path) override;
  bool exists(std::string const& path) override;
  Size free_bytes(std::string const& path) override;

  /// Counts a call; throws if it must fail. True: it is weak.
  bool begin(Call call, std::string const& path);

 private:
  std::unique_ptr<File> wrapped(std::unique_ptr<File> file, std::string const& path);
  bool is_directory(std::string const& path);
  void copy(std::string const& from, std::string const& to);
  void move_entries(std::string const& from, std::string const& to);

  FileSystem& files_;
  Faults faults_;
  mutable std::mutex mutex_;
  std::set<Call> weak_;
  std::optional<CallPlace> weak_place_;
  std::map<std::pair<Call, std::string>, int> made_;
  Watch watch_;
};

}  // namespace dsr::test
