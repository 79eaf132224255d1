// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Values on their way into variables: one form for TOML and --set, one check, one text of what is
/// allowed.
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "dsr/config/key_table.hpp"

namespace dsr::detail {

/// What a source holds for a key. monostate: a kind that no key takes (a table, a date, an array of
/// numbers).
struct ConfigValue {
  std::variant<std::monostate, bool, Size, double, std::string, std::vector<std::string>> content;
  std::string shown;  ///< for messages, as the user wrote it
};

/// Puts the value into the key's variable and returns "", or returns why not, as one line that
/// begins with `where`.
std::string assign(Key& key, ConfigValue const& value, std::string const& where);

/// Why the variable's present value is not allowed; empty if it is.
std::string complain(Key const& key);

/// The variable's present value as TOML.
std::string as_toml(KeyTarget const& target);

/// "integer >= 1", "auto, text or nanogpt", "number >= 0 and < 1".
std::string allowed_values(Key const& key);

/// Splits at spaces and commas.
std::vector<std::string> words_of(std::string_view text);

/// "a, b or c".
std::string join_or(std::vector<std::string> const& words);

}  // namespace dsr::detail
