// SPDX-License-Identifier: Apache-2.0
#include "dsr/config/key_table.hpp"

#include <algorithm>
#include <cctype>
#include <utility>

#include "dsr/core/error.hpp"
#include "dsr/core/text.hpp"
#include "libdsr/config/assign.hpp"

namespace dsr {
namespace {

/// Dotted words, each a bare key of TOML.
bool is_key_name(std::string_view name) {
  bool word = false;  // the present word has a character
  for (char const c : name) {
    bool const letter = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-';
    if (!letter && (c != '.' || !word)) return false;
    word = letter;
  }
  return word;
}

std::string_view last_word(std::string_view name) { return name.substr(name.rfind('.') + 1); }

bool starts_below(std::string_view name, std::string_view section) {
  return name.size() > section.size() && name.substr(0, section.size()) == section &&
         name[section.size()] == '.';
}

}  // namespace

void KeyTable::add_target(std::string name, KeyTarget target, KeyOptions options) {
  if (!is_key_name(name)) {
    throw InvalidArgument(problem("configuration key", "\"" + name + "\"",
                                  "dotted words of letters, digits, _ and -"));
  }
  for (Key const& key : keys_) {
    if (key.name == name || starts_below(key.name, name) || starts_below(name, key.name)) {
      throw InvalidArgument(problem("configuration key",
                                    "\"" + name + "\" beside \"" + key.name + "\"",
                                    "a name that is not taken"));
    }
  }
  Key key{std::move(name), target, std::move(options), detail::as_toml(target), {}};
  bool const required = key.options.presence == Presence::required;
  if (std::string const text = detail::complain(key); !required && !text.empty()) {
    throw InvalidArgument(text);
  }
  keys_.push_back(std::move(key));
}

Key* KeyTable::find(std::string_view name) {
  auto const found =
      std::find_if(keys_.begin(), keys_.end(), [&](Key const& key) { return key.name == name; });
  return found == keys_.end() ? nullptr : &*found;
}

bool KeyTable::is_section(std::string_view name) const {
  return std::any_of(keys_.begin(), keys_.end(),
                     [&](Key const& key) { return starts_below(key.name, name); });
}

std::string KeyTable::nearest(std::string_view name) const {
  std::vector<std::string_view> all, words, same_word;
  for (Key const& key : keys_) {
    all.push_back(key.name);
    words.push_back(last_word(key.name));
    if (words.back() == last_word(name)) same_word.push_back(key.name);
  }
  if (!same_word.empty()) return nearest_name(name, same_word);
  if (name.find('.') != name.npos) return nearest_name(name, all);
  // A word without its section is compared with words.
  std::string const word = nearest_name(name, words);
  auto const place = std::find(words.begin(), words.end(), word);
  return place == words.end() ? std::string{}
                              : std::string{all[static_cast<std::size_t>(place - words.begin())]};
}

}  // namespace dsr
