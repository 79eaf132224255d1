// SPDX-License-Identifier: Apache-2.0
#pragma once
/// What a Manifest must be apart from being JSON; one place for writing and reading.
#include <string>
#include <string_view>

#include "dsr/checkpoint/manifest.hpp"

namespace dsr::detail {

/// "files[1].hash: …, allowed …" for the first thing that is wrong; empty if nothing is.
std::string fault_of(Manifest const& manifest);

/// The text in quotes, cut where it is long, for messages.
std::string in_quotes(std::string_view text);

}  // namespace dsr::detail
