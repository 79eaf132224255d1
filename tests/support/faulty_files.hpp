// SPDX-License-Identifier: Apache-2.0
#pragma once
/// FaultyFiles: any FileSystem, with calls that fail, or that stop promising what they promise.
///
///     FaultyFiles files{system_files()};
///     files.faults().fail_at(n, ENOSPC);       // the n-th call from now
///     files.weaken(Call::sync_data);           // sync_data() does nothing, and says it went well
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "dsr/io/file_system.hpp"
#include "support/faults.hpp"

namespace dsr::test {

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
  /// copy that can be seen half done, then a removal; link becomes a copy. Others stay as they are.
  void weaken(Call call);
  bool weak(Call call) const;

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

  /// Counts a call; throws if it must fail.
  void begin(Call call, std::string const& path);

 private:
  std::unique_ptr<File> wrapped(std::unique_ptr<File> file, std::string const& path);
  bool is_directory(std::string const& path);
  void copy(std::string const& from, std::string const& to);

  FileSystem& files_;
  Faults faults_;
  mutable std::mutex mutex_;
  std::set<Call> weak_;
};

}  // namespace dsr::test
