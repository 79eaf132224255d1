// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Outcome: how a step of saving or loading went, which all ranks learn of each other.
///
///     Outcome const made = agreed(attempt([&] { files.make_directory(path); }), group);
///     if (!made.text.empty()) give_up(made.text);
#include <functional>
#include <string>

#include "dsr/comm/communicator.hpp"

namespace dsr::detail {

enum class OutcomeKind : char { fine = ' ', failed = '-', corrupt = '~', full = '!' };

struct Outcome {
  std::string text = {};  ///< what went wrong; empty: nothing
  OutcomeKind kind = OutcomeKind::fine;
  bool fine() const { return kind == OutcomeKind::fine; }
};

/// What `work` throws, whatever it is, except CommError: a dead group ends the job. IoError of a
/// full disk is `full`, CorruptData is `corrupt`.
Outcome attempt(std::function<void()> const& work);

/// The outcome of the lowest rank whose is not fine. Collective.
Outcome agreed(Outcome const& mine, Communicator& group);

}  // namespace dsr::detail
