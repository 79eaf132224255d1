// SPDX-License-Identifier: Apache-2.0
#include "checkpoint_arguments.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <dsr/core/error.hpp>
#include <dsr/core/text.hpp>
#include <limits>
#include <map>
#include <optional>
#include <string_view>

namespace tool {
namespace {

using dsr::problem;
using dsr::UsageError;

/// What a command takes; options in `required` are among `options`.
struct Command {
  std::string_view name, paths;
  std::size_t path_count;
  std::vector<std::string_view> options, required;
};

std::vector<Command> const& commands() {
  static std::vector<Command> const all{
      {"list", "PATH", 1, {"--json"}, {}},
      {"show", "SET", 1, {"--json"}, {}},
      {"verify", "PATH", 1, {"--json"}, {}},
      {"copy", "SET TIER", 2, {"--json"}, {}},
      {"prune", "PATH", 1, {"--json", "--keep", "--dry-run"}, {"--keep"}},
      {"rollback", "RUN", 1, {"--json", "--step"}, {"--step"}},
      {"view", "SET", 1, {"--json"}, {}},
      {"export",
       "SET DIRECTORY",
       2,
       {"--json", "--format", "--dtype", "--max-shard-bytes"},
       {"--format"}},
      {"import", "DIRECTORY TIER", 2, {"--json", "--format"}, {"--format"}},
  };
  return all;
}

bool is_flag(std::string_view option) { return option == "--json" || option == "--dry-run"; }

Command const& find_command(std::string const& name) {
  auto const found = std::ranges::find(commands(), std::string_view{name}, &Command::name);
  if (found != commands().end()) return *found;
  std::vector<std::string_view> names;
  for (Command const& command : commands()) names.push_back(command.name);
  throw UsageError(problem("command", "\"" + name + "\"", {}, dsr::nearest_name(name, names)));
}

dsr::Size number(std::string_view option, std::string const& text, dsr::Size least,
                 dsr::Size most) {
  dsr::Size value = 0;
  auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  bool const whole = error == std::errc{} && end == text.data() + text.size();
  if (!whole || value < least || value > most) {
    throw UsageError(
        problem(option, "\"" + text + "\"", std::to_string(least) + " to " + std::to_string(most)));
  }
  return value;
}

/// The options of a command line by name, flags with an empty value; the rest are paths.
std::map<std::string, std::string> split(Command const& command, int argc, char const* const* argv,
                                         std::vector<std::string>& paths) {
  std::map<std::string, std::string> options;
  for (int i = 2; i < argc; ++i) {
    std::string const word = argv[i];
    if (!word.starts_with("--")) {
      paths.push_back(word);
      continue;
    }
    std::size_t const equals = word.find('=');
    std::string const name = word.substr(0, equals);
    if (std::ranges::find(command.options, std::string_view{name}) == command.options.end()) {
      throw UsageError(problem(std::string{command.name}, "\"" + name + "\"", {},
                               dsr::nearest_name(name, command.options)));
    }
    std::string value;
    if (is_flag(name)) {
      if (equals != word.npos) throw UsageError(problem(name, "a value", "none"));
    } else if (equals != word.npos) {
      value = word.substr(equals + 1);
    } else if (++i < argc) {
      value = argv[i];
    } else {
      throw UsageError(problem(name, "no value"));
    }
    if (!options.emplace(name, value).second) throw UsageError(problem(name, "given twice"));
  }
  return options;
}

void take(Arguments& arguments, std::string const& name, std::string const& value) {
  constexpr dsr::Size kMost = std::numeric_limits<dsr::Size>::max();
  if (name == "--json") arguments.output = Output::json;
  if (name == "--dry-run") arguments.effect = Effect::dry;
  if (name == "--keep") arguments.keep = static_cast<int>(number(name, value, 2, 1'000'000));
  if (name == "--step") arguments.step = number(name, value, 0, 999'999'999);
  if (name == "--max-shard-bytes") arguments.shard_bytes = number(name, value, 1, kMost);
  if (name == "--format" && value != "safetensors")
    throw UsageError(problem(name, "\"" + value + "\"", "safetensors"));
  if (name != "--dtype") return;
  if (value != "f32" && value != "bf16")
    throw UsageError(problem(name, "\"" + value + "\"", "f32 or bf16"));
  arguments.dtype = value == "f32" ? dsr::DType::f32 : dsr::DType::bf16;
}

}  // namespace

Arguments parse_arguments(int argc, char const* const* argv) {
  Arguments arguments;
  if (argc < 2) throw UsageError(problem("dsr-checkpoint", "no command", "--help shows them"));
  for (int i = 1; i < argc; ++i) {
    std::string_view const word = argv[i];
    if (word == "--help" || word == "-h") arguments.command = "help";
    if (word == "--version" && arguments.command.empty()) arguments.command = "version";
  }
  if (!arguments.command.empty()) return arguments;
  Command const& command = find_command(argv[1]);
  arguments.command = command.name;
  auto const options = split(command, argc, argv, arguments.paths);
  if (arguments.paths.size() != command.path_count) {
    throw UsageError(problem(std::string{command.name},
                             std::to_string(arguments.paths.size()) + " paths",
                             std::string{command.paths}));
  }
  for (std::string const& path : arguments.paths) {
    if (path.empty()) throw UsageError(problem(std::string{command.name}, "an empty path"));
  }
  for (std::string_view const name : command.required) {
    if (!options.contains(std::string{name}))
      throw UsageError(problem(std::string{command.name}, "no " + std::string{name}));
  }
  for (auto const& [name, value] : options) take(arguments, name, value);
  return arguments;
}

std::string usage() {
  return "dsr-checkpoint COMMAND …\n\n"
         "  list PATH                        sets, the oldest first\n"
         "  show SET                         tensors of a set\n"
         "  verify PATH                      reads everything and compares every hash\n"
         "  copy SET TIER                    into another directory of sets, verified again\n"
         "  prune PATH --keep N [--dry-run]  removes sets that have N newer ones, N >= 2; of a "
         "run\n"
         "                                   all tiers but the cold one\n"
         "  rollback RUN --step N            renames the sets of later steps to abandoned.*\n"
         "  view SET                         writes checkpoint.h5 again\n"
         "  export SET DIRECTORY --format safetensors [--dtype f32|bf16] [--max-shard-bytes N]\n"
         "                                   GPT-2 for Hugging Face, with config.json\n"
         "  import DIRECTORY TIER --format safetensors\n"
         "                                   a GPT-2 of Hugging Face as step 0\n\n"
         "PATH is a run, a tier (a directory of sets) or a set. Where SET is a run or a tier, its\n"
         "newest committed set is meant. --json prints one object a line; --version, --help.\n\n"
         "exit code  0 done, 64 usage, 65 corrupt or no committed set, 74 input or output,\n"
         "           75 a run is at work there (prune, rollback, view), 78 does not fit\n";
}

}  // namespace tool
