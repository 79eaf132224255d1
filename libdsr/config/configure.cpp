// SPDX-License-Identifier: Apache-2.0
/// Reads TOML texts and --set values into a KeyTable. The only file that includes toml++.
#include <fmt/format.h>
#include <fmt/ranges.h>
// A text such as "[=" breaks what toml++ asserts, and is an ordinary error where it does not.
// With NDEBUG it says __builtin_assume instead, and Clang would take that text for impossible.
#pragma push_macro("NDEBUG")
#undef NDEBUG
#define TOML_ASSERT(expr) static_assert(true)
#define TOML_MAX_NESTED_VALUES 16  // kMostNestedValues
#include <toml++/toml.h>
#pragma pop_macro("NDEBUG")

#include <algorithm>
#include <sstream>
#include <utility>

#include "dsr/config/key_table.hpp"
#include "dsr/core/error.hpp"
#include "libdsr/config/assign.hpp"
#include "libdsr/config/toml_depth.hpp"

namespace dsr {
namespace {

static_assert(TOML_MAX_NESTED_VALUES == detail::kMostNestedValues);

using detail::ConfigValue;

/// Problem lines with the place in the text that orders them: toml++ hands keys out by name.
struct Problem {
  toml::source_index line = 0, column = 0;
  std::string text;
};
using Problems = std::vector<Problem>;

template <class T>
std::string shown(T const& node) {
  std::ostringstream out;
  out << node;
  std::string text = out.str();
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

ConfigValue list_value(toml::array const& array) {
  std::vector<std::string> words;
  for (toml::node const& element : array) {
    if (!element.is_string()) return {{}, shown(array)};
    words.push_back(element.as_string()->get());
  }
  return {std::move(words), shown(array)};
}

ConfigValue value_of(toml::node const& node) {
  if (auto const* value = node.as_boolean()) return {value->get(), shown(*value)};
  if (auto const* value = node.as_integer()) return {Size{value->get()}, shown(*value)};
  if (auto const* value = node.as_floating_point()) return {value->get(), shown(*value)};
  if (auto const* value = node.as_string()) return {value->get(), "\"" + value->get() + "\""};
  if (auto const* value = node.as_array()) return list_value(*value);
  if (node.is_table()) return {{}, "a section"};
  return {{}, "a date or time"};
}

std::string unknown_key(KeyTable const& table, std::string const& where, std::string const& name) {
  if (table.is_section(name)) return problem(where + ": " + name, "a value", "a section of keys");
  return problem(where + ": " + name, "unknown key", {}, table.nearest(name));
}

/// Walks a parsed text and sets keys.
class TomlReader {
 public:
  TomlReader(KeyTable& table, std::string_view file_name, Problems& problems)
      : table_(table), file_name_(file_name), problems_(problems) {}

  void read(std::string_view text) {
    if (Size const line = detail::line_of_deep_key(text); line > 0) {
      problems_.push_back({static_cast<toml::source_index>(line), 1,
                           problem(fmt::format("{}:{}", file_name_, line),
                                   fmt::format("a key of more than {} parts", detail::kMostKeyParts),
                                   fmt::format("at most {}", detail::kMostKeyParts))});
      return;
    }
    try {
      walk(toml::parse(text, file_name_), {});
    } catch (toml::parse_error const& error) {
      add(error.source(), problem(place(error.source()), error.description()));
    }
  }

 private:
  std::string place(toml::source_region const& source) const {
    return fmt::format("{}:{}:{}", file_name_, source.begin.line, source.begin.column);
  }
  void add(toml::source_region const& source, std::string text) {
    if (!text.empty())
      problems_.push_back({source.begin.line, source.begin.column, std::move(text)});
  }

  void walk(toml::table const& section, std::string const& prefix) {
    for (auto const& [word, node] : section) {
      std::string const name = prefix + std::string{word.str()};
      toml::source_region const& at = word.source();
      if (Key* const key = table_.find(name)) {
        add(at, detail::assign(*key, value_of(node), place(node.source())));
      } else if (auto const* inner = node.as_table(); inner != nullptr && !inner->empty()) {
        walk(*inner, name + ".");
      } else if (inner == nullptr) {
        add(at, unknown_key(table_, place(at), name));
      } else if (!table_.is_section(name)) {  // an empty section
        add(at, problem(place(at) + ": " + name, "unknown section", {}, table_.nearest(name)));
      }
    }
  }

  KeyTable& table_;
  std::string file_name_;
  Problems& problems_;
};

std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpace{" \t"};
  std::size_t const begin = text.find_first_not_of(kSpace);
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

/// A value of --set: TOML, and where the key takes strings also a bare word.
ConfigValue setting_value(Key const& key, std::string_view text) {
  bool const quoted = !text.empty() && (text[0] == '"' || text[0] == '\'' || text[0] == '[');
  bool const takes_text = std::holds_alternative<std::string*>(key.target) ||
                          std::holds_alternative<std::vector<std::string>*>(key.target);
  if (takes_text && !quoted) return {std::string{text}, fmt::format("\"{}\"", text)};
  // A line break would start a second key.
  if (text.find('\n') == text.npos && detail::line_of_deep_key(text) == 0) {
    try {
      toml::table const parsed = toml::parse(fmt::format("value = {}", text));
      return value_of(*parsed.get("value"));
    } catch (toml::parse_error const&) {
      // Not TOML: reported below as what it is, a word.
    }
  }
  return {{}, text.empty() ? "nothing" : fmt::format("\"{}\"", text)};
}

std::string read_setting(KeyTable& table, std::string_view setting) {
  std::size_t const equals = setting.find('=');
  if (equals == setting.npos) {
    return problem(fmt::format("--set {}", setting), "no \"=\"", "key=value");
  }
  std::string const name{trim(setting.substr(0, equals))};
  Key* const key = table.find(name);
  if (key == nullptr) return unknown_key(table, "--set", name);
  return detail::assign(*key, setting_value(*key, trim(setting.substr(equals + 1))), "--set");
}

void add_missing(KeyTable const& table, std::string_view file_name,
                 std::vector<std::string>& lines) {
  std::string const where = file_name.empty() ? std::string{} : std::string{file_name} + ": ";
  for (Key const& key : table.keys()) {
    if (key.options.presence == Presence::required && key.origin.empty()) {
      lines.push_back(problem(where + key.name, "not set", detail::allowed_values(key)));
    }
  }
}

}  // namespace

void configure(KeyTable& table, ConfigSources const& sources) {
  Problems problems;
  TomlReader{table, sources.file_name, problems}.read(sources.text);
  std::stable_sort(problems.begin(), problems.end(), [](Problem const& a, Problem const& b) {
    return std::pair{a.line, a.column} < std::pair{b.line, b.column};
  });
  std::vector<std::string> lines;
  for (Problem& p : problems) lines.push_back(std::move(p.text));
  for (std::string const& setting : sources.settings) {
    if (std::string line = read_setting(table, setting); !line.empty())
      lines.push_back(std::move(line));
  }
  // A key with a refused value is not missing, and a broken text hides keys: only a sound
  // configuration lacks one.
  if (lines.empty() && sources.missing == Missing::refuse)
    add_missing(table, sources.file_name, lines);
  if (!lines.empty()) throw InvalidArgument(fmt::format("{}", fmt::join(lines, "\n")));
}

void parse_toml(KeyTable& table, std::string_view text, std::string_view file_name) {
  configure(
      table,
      {.file_name = std::string{file_name}, .text = std::string{text}, .missing = Missing::allow});
}

void apply_set(KeyTable& table, std::string_view setting) {
  configure(table, {.settings = {std::string{setting}}, .missing = Missing::allow});
}

}  // namespace dsr
