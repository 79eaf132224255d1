// SPDX-License-Identifier: Apache-2.0
#pragma once
/// How deep tables go in a TOML text. toml++ makes and frees them by recursion, and bounds neither
/// the parts of a key nor what they add up to: a text of some kilobytes could exhaust the stack.
#include <string_view>

#include "dsr/core/shape.hpp"

namespace dsr::detail {

/// Parts of a key, "a.b.c" has three; and values inside of values.
inline constexpr int kMostKeyParts = 32, kMostNestedValues = 16;

/// The line, from 1, of the first key with more parts; 0 if there is none. Strings and comments are
/// passed over. The text need not be TOML.
Size line_of_deep_key(std::string_view text);

}  // namespace dsr::detail
