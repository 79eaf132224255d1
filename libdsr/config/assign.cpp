// SPDX-License-Identifier: Apache-2.0
#include "libdsr/config/assign.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "dsr/core/error.hpp"
#include "dsr/core/text.hpp"

namespace dsr::detail {
namespace {

using Content = decltype(ConfigValue::content);

/// Why a value is refused, in the parts that problem() takes. Empty: it is not.
struct Complaint {
  std::string found, allowed, nearest;
  bool empty() const { return found.empty(); }
};

// One overload for each type of variable: the content as that type, or nothing if it is another
// kind.
std::optional<bool> convert(Content const& content, bool /*type*/) {
  if (auto const* value = std::get_if<bool>(&content)) return *value;
  return {};
}

std::optional<Size> convert(Content const& content, Size /*type*/) {
  if (auto const* value = std::get_if<Size>(&content)) return *value;
  return {};
}

std::optional<int> convert(Content const& content, int /*type*/) {
  auto const* value = std::get_if<Size>(&content);
  if (value == nullptr || *value != static_cast<int>(*value)) return {};
  return static_cast<int>(*value);
}

std::optional<double> convert(Content const& content, double /*type*/) {
  if (auto const* value = std::get_if<double>(&content)) return *value;
  if (auto const* value = std::get_if<Size>(&content)) return static_cast<double>(*value);
  return {};
}

std::optional<std::string> convert(Content const& content, std::string const& /*type*/) {
  if (auto const* value = std::get_if<std::string>(&content)) return *value;
  return {};
}

std::optional<std::vector<std::string>> convert(Content const& content,
                                                std::vector<std::string> const& /*type*/) {
  if (auto const* value = std::get_if<std::vector<std::string>>(&content)) return *value;
  if (auto const* value = std::get_if<std::string>(&content)) return words_of(*value);
  return {};
}

bool in_range(KeyOptions const& options, double value) {
  if (!std::isfinite(value)) return false;
  return !(options.min && value < *options.min) && !(options.max && value > *options.max) &&
         !(options.above && value <= *options.above) && !(options.below && value >= *options.below);
}

std::string quoted(std::string const& text) {
  std::string out{"\""};
  for (char const c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

Complaint check_string(Key const& key, std::string const& value) {
  auto const& choices = key.options.choices;
  if (choices.empty() || std::find(choices.begin(), choices.end(), value) != choices.end())
    return {};
  std::vector<std::string_view> const known{choices.begin(), choices.end()};
  return {quoted(value), allowed_values(key), nearest_name(value, known)};
}

template <class T>
Complaint check_value(Key const& key, T const& value) {
  if constexpr (std::is_same_v<T, std::string>) {
    return check_string(key, value);
  } else if constexpr (std::is_same_v<T, std::vector<std::string>>) {
    for (std::string const& element : value) {
      if (Complaint complaint = check_string(key, element); !complaint.empty()) return complaint;
    }
    return {};
  } else if constexpr (std::is_same_v<T, bool>) {
    return {};
  } else {
    if (in_range(key.options, static_cast<double>(value))) return {};
    return {fmt::format("{}", value), allowed_values(key), {}};
  }
}

/// The user's own check, whose error already says everything: its text without the leading "dsr: ".
std::string run_check(Key const& key, std::string const& value) {
  if (!key.options.check) return {};
  try {
    key.options.check(value);
  } catch (Error const& error) {
    std::string_view text{error.what()};
    constexpr std::string_view kPrefix{"dsr: "};
    if (text.substr(0, kPrefix.size()) == kPrefix) text.remove_prefix(kPrefix.size());
    return std::string{text};
  }
  return {};
}

}  // namespace

std::string join_or(std::vector<std::string> const& words) {
  if (words.size() < 2) return fmt::format("{}", fmt::join(words, ""));
  return fmt::format("{} or {}", fmt::join(words.begin(), words.end() - 1, ", "), words.back());
}

std::vector<std::string> words_of(std::string_view text) {
  constexpr std::string_view kSeparators{" ,\t\n"};
  std::vector<std::string> words;
  for (std::size_t begin = text.find_first_not_of(kSeparators); begin != text.npos;) {
    std::size_t const end = std::min(text.find_first_of(kSeparators, begin), text.size());
    words.emplace_back(text.substr(begin, end - begin));
    begin = text.find_first_not_of(kSeparators, end);
  }
  return words;
}

std::string allowed_values(Key const& key) {
  KeyOptions const& options = key.options;
  bool const list = std::holds_alternative<std::vector<std::string>*>(key.target);
  if (!options.choices.empty()) return (list ? "a list of " : "") + join_or(options.choices);
  if (list) return "list of strings";
  if (std::holds_alternative<std::string*>(key.target)) return "string";
  if (std::holds_alternative<bool*>(key.target)) return "true or false";
  std::vector<std::string> bounds;
  if (options.min) bounds.push_back(fmt::format(">= {}", *options.min));
  if (options.above) bounds.push_back(fmt::format("> {}", *options.above));
  if (options.max) bounds.push_back(fmt::format("<= {}", *options.max));
  if (options.below) bounds.push_back(fmt::format("< {}", *options.below));
  std::string_view const kind = std::holds_alternative<double*>(key.target) ? "number" : "integer";
  return fmt::format("{}{}{}", kind, bounds.empty() ? "" : " ", fmt::join(bounds, " and "));
}

std::string as_toml(KeyTarget const& target) {
  return std::visit(
      [](auto const* variable) -> std::string {
        using T = std::remove_cvref_t<decltype(*variable)>;
        if constexpr (std::is_same_v<T, std::string>) {
          return quoted(*variable);
        } else if constexpr (std::is_same_v<T, std::vector<std::string>>) {
          return quoted(fmt::format("{}", fmt::join(*variable, " ")));
        } else {
          return fmt::format("{}", *variable);
        }
      },
      target);
}

std::string complain(Key const& key) {
  return std::visit(
      [&key](auto const* variable) -> std::string {
        Complaint const complaint = check_value(key, *variable);
        return complaint.empty()
                   ? std::string{}
                   : problem(key.name, complaint.found, complaint.allowed, complaint.nearest);
      },
      key.target);
}

std::string assign(Key& key, ConfigValue const& value, std::string const& where) {
  std::string const what = where + ": " + key.name;
  return std::visit(
      [&](auto* variable) -> std::string {
        auto converted = convert(value.content, *variable);
        if (!converted) return problem(what, value.shown, allowed_values(key));
        if (Complaint const c = check_value(key, *converted); !c.empty()) {
          return problem(what, c.found, c.allowed, c.nearest);
        }
        if constexpr (std::is_same_v<decltype(variable), std::string*>) {
          if (std::string const text = run_check(key, *converted); !text.empty()) {
            return problem(what, text);
          }
        }
        *variable = std::move(*converted);
        key.origin = where;
        return {};
      },
      key.target);
}

}  // namespace dsr::detail
