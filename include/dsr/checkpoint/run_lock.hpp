// SPDX-License-Identifier: Apache-2.0
#pragma once
/// RunLock: one run at a time writes into a folder. A run that died is noticed by its counter,
/// which stands still; clocks of two machines are never compared.
///
///     RunLock lock{system_files(), "run", {.lease_s = 30}};   // "run/lock"
///     lock.check();                                           // before anything is committed
///
/// It is a lease, not proof: a run that was stopped for longer than its lease and goes on finds
/// that it has lost the lock at its next check, not before.
#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "dsr/core/error.hpp"
#include "dsr/io/file_system.hpp"

namespace dsr {

/// Another run holds the lock, or has taken it. Exit code 75.
class LockError : public Error {
 public:
  using Error::Error;
  int exit_code() const noexcept override { return 75; }
};

/// A process, as a lock names it.
struct LockHolder {
  std::string host;
  long pid = 0;
  std::string boot =
      {};  ///< this start of the machine, and what its process numbers are relative to
  bool operator==(LockHolder const&) const = default;
};

struct RunLockOptions {
  double lease_s = 30;
  /// Told once if a lock is there whose holder may be dead: for whom it waits, and how long.
  std::function<void(std::string const&)> say = {};
  std::optional<LockHolder> self = {};  ///< for tests; else this process
};

/// Neither copies nor moves: a thread moves the counter. check() and lost() may be called by any
/// thread. What it is given must outlive it; the destructor lets the lock go.
class RunLock {
 public:
  /// Takes the lock at once if there is none, or its holder was a process of this machine that is
  /// gone; if its holder's counter has stood still for the longer of both leases; and throws
  /// LockError, which names host and process, as soon as the counter moves. Of several at once one
  /// gets it. Makes the directory. Throws IoError; InvalidArgument unless lease_s > 0; CorruptData
  /// if there is a file "lock" that is none of a run's, which stays as it is.
  RunLock(FileSystem& files, std::string directory, RunLockOptions options = {});
  ~RunLock();
  RunLock(RunLock const&) = delete;
  RunLock& operator=(RunLock const&) = delete;

  /// Reads the lock again. Throws LockError if it is another's now, or gone; IoError.
  void check();
  /// What the last check found, the counting thread's own included. Reads nothing.
  bool lost() const { return lost_; }

 private:
  struct Chain;
  std::string path_of(std::string const& nonce) const;
  std::optional<Chain> chain();
  bool hold();
  bool holder_is_dead(Chain const& seen);
  bool claim(std::string const& after, std::string const& content);
  bool take_over(Chain const& dead);
  void count();
  void let_go();

  FileSystem* files_;
  std::string directory_;
  RunLockOptions options_;
  LockHolder self_;
  std::string nonce_, content_;
  std::unique_ptr<File> file_;  // its own, also when another has taken the name
  std::atomic<bool> lost_{false};
  std::mutex mutex_;
  std::condition_variable ending_;
  bool ends_ = false;
  std::thread counter_;
};

/// The name of the lock in a run's folder.
inline constexpr char const* kLockName = "lock";

/// Whom the lock of a folder names, alive or not; nullopt if there is none, or what has its name is
/// no run's lock. Throws IoError.
std::optional<LockHolder> lock_holder(FileSystem& files, std::string const& directory);

}  // namespace dsr
