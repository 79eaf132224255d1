// SPDX-License-Identifier: Apache-2.0
#pragma once
/// LockRecord: what a lock's file says, as lines of a word and a value; the counter comes last and
/// has a fixed width, so that it is moved in place.
///
///     host node7
///     pid 4711
///     boot 2f0c…@4026531836
///     nonce 8d1f…
///     lease_s 30
///     counter 00000000000000000012
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "dsr/checkpoint/run_lock.hpp"

namespace dsr::detail {

struct LockRecord {
  LockHolder holder;
  std::string nonce;  ///< 32 hex digits
  double lease_s = 0;
  std::string counter;  ///< of any text: what matters is that it changes
};

std::string to_text(LockRecord const& record);
/// Nullopt unless there is a nonce, which becomes a part of file names.
std::optional<LockRecord> parse_lock(std::string_view text);

/// 20 digits.
std::string lock_counter(std::uint64_t value);
/// 32 random hex digits.
std::string new_nonce();

LockHolder this_process();
/// True only if the holder was a process of this very machine, since it was started, and is none
/// now.
bool is_gone(LockHolder const& holder, LockHolder const& self);

}  // namespace dsr::detail
