// SPDX-License-Identifier: Apache-2.0
#pragma once
/// KeyTable binds keys such as "train.lr" to a program's variables; one table feeds parsing, --help
/// and docs.
///
///     double lr = 1e-3;
///     KeyTable table;
///     table.add("train.lr", lr, {.help = "largest learning rate", .min = 0});
///     configure(table, {.file_name = "tiny.toml", .text = text, .settings = {"train.lr=3e-4"}});
///
/// A program adds keys of its own to the same table. The value that a variable has when it is added
/// is its default.
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "dsr/core/shape.hpp"

namespace dsr {

/// required: configure() refuses a configuration that does not set the key.
enum class Presence : unsigned char { optional, required };

struct KeyOptions {
  std::string help = {};
  std::string unit = {};
  /// min <= value <= max and above < value < below; numbers only.
  std::optional<double> min = {}, max = {}, above = {}, below = {};
  /// The strings allowed; empty: any. Of a list: of each element.
  std::vector<std::string> choices = {};
  /// Another check of a string: throws a dsr::Error that says what is wrong.
  std::function<void(std::string const&)> check = {};
  Presence presence = Presence::optional;
};

/// A list is written as an array of strings or as one string with spaces between the elements.
using KeyTarget =
    std::variant<bool*, int*, Size*, double*, std::string*, std::vector<std::string>*>;

struct Key {
  std::string name;  ///< "section.name"
  KeyTarget target;
  KeyOptions options;
  std::string fallback;  ///< the default, as TOML
  std::string origin;  ///< where the value was set, "tiny.toml:3:1" or "--set"; empty: nowhere yet
};

/// Moves and copies; the bound variables must outlive it.
class KeyTable {
 public:
  /// T: bool, int, Size, double, std::string or std::vector<std::string>. Throws InvalidArgument if
  /// the name is not dotted words of letters, digits, _ and -, is taken, or is a section of another
  /// key or below one; or if the variable's own value is outside what the options allow (unless the
  /// key is required).
  template <class T>
  void add(std::string name, T& variable, KeyOptions options = {}) {
    add_target(std::move(name), KeyTarget{&variable}, std::move(options));
  }

  std::vector<Key> const& keys() const { return keys_; }
  /// Null if there is none.
  Key* find(std::string_view name);
  /// True if some key starts with `name` and a dot.
  bool is_section(std::string_view name) const;
  /// The key most like `name`: one of the same last word (in another section), or with the fewest
  /// edits. Empty if there are no keys.
  std::string nearest(std::string_view name) const;

 private:
  void add_target(std::string name, KeyTarget target, KeyOptions options);
  std::vector<Key> keys_;
};

/// allow: for a run that reads no data, such as a dry run.
enum class Missing : unsigned char { refuse, allow };

/// What a configuration is made of; the caller reads the file (rank 0) and broadcasts its text.
struct ConfigSources {
  std::string file_name = {};
  std::string text = {};  ///< TOML
  std::vector<std::string> settings =
      {};  ///< "key=value", applied after the text, the last of a key wins
  Missing missing = Missing::refuse;
};

/// Sets the table's variables. Throws one InvalidArgument with a line for each problem of all
/// sources: broken TOML, an unknown key (with the nearest), a wrong type, a value out of range, a
/// key set twice in the text, a required key that is missing. Lines name file, line and column, or
/// the setting. Keys without a problem are set all the same.
void configure(KeyTable& table, ConfigSources const& sources);

/// configure() for a text alone; requires no key.
void parse_toml(KeyTable& table, std::string_view text, std::string_view file_name);

/// configure() for one "key=value" alone. The value is TOML; strings need no quotes.
void apply_set(KeyTable& table, std::string_view setting);

/// Every key with type, allowed values, unit, default and help, by section, for --help.
std::string help_text(KeyTable const& table);

/// The same as Markdown, one table for each section.
std::string markdown(KeyTable const& table);

}  // namespace dsr
