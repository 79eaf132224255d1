// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Faults: which of the calls of a FileSystem made for tests fails, and how.
///
///     faults.fail_at(3, ENOSPC);                    // the third call from now
///     faults.fail_at(1, EIO, Lasting::persistent);  // the next and all after it
///     faults.fail_at(Call::sync_data, 2, EIO);      // the second sync_data from now
#include <cerrno>
#include <cstdint>
#include <mutex>
#include <optional>

#include "dsr/core/shape.hpp"

namespace dsr::test {

/// The methods of FileSystem and File.
enum class Call : std::uint8_t {
  create,
  open,
  open_for_writing,
  write_at,
  read_at,
  allocate,
  size,
  sync_data,
  close,
  make_directory,
  sync_directory,
  rename,
  link,
  remove_file,
  remove_directory,
  list,
  exists,
  free_bytes,
};

/// Calls that begin again after a signal, so that nobody sees EINTR from them.
inline bool restarts(Call call) {
  switch (call) {
    case Call::create:
    case Call::open:
    case Call::open_for_writing:
    case Call::write_at:
    case Call::read_at:
    case Call::allocate:
      return true;
    default:
      return false;
  }
}

enum class Lasting : std::uint8_t { once, persistent };

/// Does not move: others hold references. Thread-safe.
class Faults {
 public:
  /// 1 is the next call. A persistent EINTR interrupts each call once.
  void fail_at(Size nth, int error_number, Lasting lasting = Lasting::once) {
    plan({}, nth, error_number, lasting);
  }
  /// Counts calls of one kind only.
  void fail_at(Call only, Size nth, int error_number, Lasting lasting = Lasting::once) {
    plan(only, nth, error_number, lasting);
  }
  void clear() { plan({}, 0, 0, Lasting::once); }
  /// Made so far.
  Size calls() const {
    std::scoped_lock const lock{mutex_};
    return calls_;
  }

  /// Counts a call; the error that it must have, or 0.
  int next(Call call) {
    std::scoped_lock const lock{mutex_};
    ++calls_;
    if (only_ && *only_ != call) return 0;
    if (remaining_ == 0 || --remaining_ > 0) return 0;
    if (lasting_ == Lasting::persistent) remaining_ = 1;
    return error_number_;
  }

 private:
  void plan(std::optional<Call> only, Size nth, int error_number, Lasting lasting) {
    std::scoped_lock const lock{mutex_};
    only_ = only;
    remaining_ = nth;
    error_number_ = error_number;
    lasting_ = lasting;
  }

  mutable std::mutex mutex_;
  std::optional<Call> only_;
  Size remaining_ = 0, calls_ = 0;
  int error_number_ = 0;
  Lasting lasting_ = Lasting::once;
};

}  // namespace dsr::test
