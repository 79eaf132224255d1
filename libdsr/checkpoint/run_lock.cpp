// SPDX-License-Identifier: Apache-2.0
#include "dsr/checkpoint/run_lock.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <utility>
#include <vector>

#include "dsr/checkpoint/sets.hpp"
#include "libdsr/checkpoint/lock_record.hpp"

// Who takes over from a dead holder links a file "lock.<the dead one's nonce>": a link that is
// there already fails, so that each holder has one successor, whoever else tries. The holder is the
// last of the chain lock, lock.<nonce of lock>, … Renaming the last one to "lock" only shortens the
// chain.

namespace dsr {
namespace {

using Clock = std::chrono::steady_clock;

constexpr Size kMostLock_bytes = 4096;
/// A chain has two parts but where processes died while they took over.
constexpr std::size_t kLongestChain = 1000;
constexpr int kBeatsPerLease = 4, kLooksPerLease = 40;

/// The file's text; nullopt if it is not there, or is another one by now.
std::optional<std::string> text_at(FileSystem& files, std::string const& path) {
  try {
    return read_text(files, path, kMostLock_bytes);
  } catch (IoError const& error) {
    if (error.error_number() == ENOENT || error.error_number() == ESTALE) return std::nullopt;
    throw;
  }
}

std::optional<detail::LockRecord> read_record(FileSystem& files, std::string const& path) {
  std::optional<std::string> const text = text_at(files, path);
  if (!text) return std::nullopt;
  std::optional<detail::LockRecord> record = detail::parse_lock(*text);
  if (record) return record;
  throw CorruptData(problem(path, "a file that is no run's lock", "none, or a run's",
                            "another run.dir, or another name for the file"));
}

std::string text_of(LockHolder const& holder) {
  return "process " + std::to_string(holder.pid) + " on " + holder.host;
}

Clock::duration seconds(double value) {
  return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(value));
}

}  // namespace

struct RunLock::Chain {
  std::vector<std::string> paths;
  detail::LockRecord last;
};

RunLock::RunLock(FileSystem& files, std::string directory, RunLockOptions options)
    : files_(&files),
      directory_(std::move(directory)),
      options_(std::move(options)),
      self_(options_.self ? *options_.self : detail::this_process()),
      nonce_(detail::new_nonce()),
      content_(detail::to_text({self_, nonce_, options_.lease_s, detail::lock_counter(0)})) {
  if (!(options_.lease_s > 0) || !std::isfinite(options_.lease_s)) {
    throw InvalidArgument(
        problem("checkpoint.lease_s", std::to_string(options_.lease_s), "> 0", "30"));
  }
  make_directories(*files_, directory_);
  while (!hold()) {
  }
  counter_ = std::thread{[this] { count(); }};
}

RunLock::~RunLock() {
  {
    std::lock_guard const guard{mutex_};
    ends_ = true;
  }
  ending_.notify_all();
  counter_.join();
  try {
    let_go();
  } catch (std::exception const&) {  // the next run waits for the lease, or sees that we are gone
    return;
  }
}

std::string RunLock::path_of(std::string const& nonce) const {
  return directory_ + "/" + kLockName + (nonce.empty() ? "" : "." + nonce);
}

/// From "lock" to its holder; nullopt if nobody holds it.
std::optional<RunLock::Chain> RunLock::chain() {
  Chain found;
  std::optional<detail::LockRecord> record = read_record(*files_, path_of(""));
  if (!record) return std::nullopt;
  std::string path = path_of("");
  while (record && found.paths.size() < kLongestChain) {
    found.paths.push_back(path);
    found.last = *record;
    path = path_of(record->nonce);
    record = read_record(*files_, path);
  }
  return found;
}

/// False if something changed meanwhile: to be tried again.
bool RunLock::hold() {
  std::optional<Chain> const seen = chain();
  if (seen && !holder_is_dead(*seen)) return false;
  if (seen ? !take_over(*seen) : !claim("", content_)) return false;
  files_->sync_directory(directory_);
  file_ = files_->open_for_writing(path_of(""));
  return true;
}

/// Waits until that is certain; false if another holds the lock now, or nobody.
bool RunLock::holder_is_dead(Chain const& seen) {
  LockHolder const& holder = seen.last.holder;
  if (detail::is_gone(holder, self_)) return true;
  // The holder's own lease says how often it moves its counter.
  double const lease = std::max(options_.lease_s, seen.last.lease_s);
  if (options_.say) {
    char text[32];
    std::snprintf(text, sizeof text, "%g", lease);
    options_.say(path_of("") + " is held by " + text_of(holder) + ": waiting " + text +
                 " s to see whether it is alive");
  }
  for (Clock::time_point const end = Clock::now() + seconds(lease); Clock::now() < end;) {
    std::this_thread::sleep_for(seconds(lease / kLooksPerLease));
    std::optional<Chain> const now = chain();
    if (!now || now->last.nonce != seen.last.nonce) return false;
    if (now->last.counter == seen.last.counter) continue;
    throw LockError(problem(path_of(""), "held by " + text_of(holder) + ", which is alive",
                            "one run at a time in a folder"));
  }
  return true;
}

/// Whether this lock is now the successor of `after`; of "", the first of all. The name appears
/// with its whole content, or not at all.
bool RunLock::claim(std::string const& after, std::string const& content) {
  std::string const made = path_of("new." + nonce_);
  write_durably(*files_, made, content);
  bool won = true;
  try {
    files_->link(made, path_of(after));
  } catch (IoError const& error) {
    won = false;
    if (error.error_number() != EEXIST) {
      files_->remove_file(made);
      throw;
    }
  }
  files_->remove_file(made);
  return won;
}

bool RunLock::take_over(Chain const& dead) {
  std::string const mine = path_of(dead.last.nonce);
  if (!claim(dead.last.nonce, content_)) return false;
  // What was seen may be old: another has taken over, and shortened the chain, in between.
  std::optional<Chain> const now = chain();
  if (!now || now->last.nonce != nonce_) {
    files_->remove_file(mine);
    return false;
  }
  files_->rename(mine, path_of(""));
  for (std::size_t i = 1; i + 1 < now->paths.size(); ++i) files_->remove_file(now->paths[i]);
  return true;
}

void RunLock::check() {
  std::optional<Chain> const now = chain();
  if (now && now->last.nonce == nonce_) return;
  lost_ = true;
  std::string const found =
      now ? "taken over by " + text_of(now->last.holder) : std::string{"removed"};
  throw LockError(problem(path_of(""), found,
                          "this run's: it stood still for longer than its lease",
                          "a larger checkpoint.lease_s"));
}

/// Moves the counter until the end, in its own file: if another has taken over that harms nobody.
void RunLock::count() {
  std::unique_lock guard{mutex_};
  for (std::uint64_t beats = 1;; ++beats) {
    auto const ended = [this] { return ends_; };
    if (ending_.wait_for(guard, seconds(options_.lease_s / kBeatsPerLease), ended)) return;
    try {
      std::string const digits = detail::lock_counter(beats);
      file_->write_at(static_cast<Size>(content_.size() - digits.size() - 1),
                      std::as_bytes(std::span{digits}));
      file_->sync_data();  // a network file system may else keep it to itself
      check();
    } catch (Error const&) {  // lost_ is set, or the next beat may succeed
      continue;
    }
  }
}

/// Follows itself, so that nobody takes over while the name is removed.
void RunLock::let_go() {
  std::optional<Chain> const now = chain();
  if (!now || now->last.nonce != nonce_) return;
  std::string const end =
      detail::to_text({self_, detail::new_nonce(), options_.lease_s, detail::lock_counter(0)});
  if (!claim(nonce_, end)) return;
  files_->remove_file(path_of(""));
  files_->remove_file(path_of(nonce_));
}

std::optional<LockHolder> lock_holder(FileSystem& files, std::string const& directory) {
  std::string const path = directory + "/" + kLockName;
  // Whatever is no file is no lock either, and need not be readable.
  bool there = false;
  for (DirectoryEntry const& entry : files.list(directory))
    there = there || (entry.name == kLockName && entry.kind == EntryKind::file);
  if (!there) return std::nullopt;
  try {
    std::optional<std::string> const text = text_at(files, path);
    auto const record = text ? detail::parse_lock(*text) : std::nullopt;
    return record ? std::optional{record->holder} : std::nullopt;
  } catch (IoError const& error) {
    if (error.error_number() == 0) return std::nullopt;  // too long for a lock
    throw;
  }
}

}  // namespace dsr
