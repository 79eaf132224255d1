// SPDX-License-Identifier: Apache-2.0
#pragma once
/// agree: work that may fail on some ranks only (opening a file, say) fails on all of them, with
/// one text.
///
///     agree(runtime.world(), [&] { tokens = open_tokens(path); });
#include <functional>

#include "dsr/comm/communicator.hpp"

namespace dsr {

/// Runs `work` on every rank of the group. If it throws a dsr::Error on some, throws on all an
/// AgreedError with text and exit code of the lowest such rank. Other exceptions pass through on
/// their own rank.
/// Collective  over the group, after the work
void agree(Communicator& group, std::function<void()> const& work);

}  // namespace dsr
