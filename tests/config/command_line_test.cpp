// SPDX-License-Identifier: Apache-2.0
#include "dsr/config/command_line.hpp"

#include "dsr/core/error.hpp"
#include "io/temporary_directory.hpp"
#include "support/catch.hpp"

using namespace dsr;
using namespace dsr::test;

namespace {

CommandLine parse(std::vector<char const*> arguments) {
  arguments.insert(arguments.begin(), "program");
  return parse_command_line(static_cast<int>(arguments.size()), arguments.data());
}

std::string error_of(std::vector<char const*> const& arguments) {
  return message_of<UsageError>([&] { parse(arguments); });
}

}  // namespace

TEST_CASE("an empty command line asks for a run without a file") {
  CommandLine const line = parse({});
  CHECK(line.config.empty());
  CHECK(line.settings.empty());
  CHECK_FALSE((line.help || line.version || line.dry_run));
  CHECK(line.sample == 0);
  CHECK((!line.fresh && !line.force));
}

TEST_CASE("every option is read") {
  CommandLine const line =
      parse({"--config", "a.toml", "--set", "mesh.dp=2", "--dry-run", "--set=data.train=x=y",
             "--set", "mesh.order=[\"dp\", \"row\"]", "--sample", "100", "--version", "--help"});
  CHECK(line.config == "a.toml");
  CHECK(line.settings ==
        std::vector<std::string>{"mesh.dp=2", "data.train=x=y", "mesh.order=[\"dp\", \"row\"]"});
  CHECK(line.dry_run);
  CHECK(line.version);
  CHECK(line.help);
  CHECK(line.sample == 100);
  CHECK(parse({"-h"}).help);
  CHECK(parse({"--set", "train.min_lr=-1"}).settings ==
        std::vector<std::string>{"train.min_lr=-1"});
}

TEST_CASE("bad usage is a UsageError that says what is wrong") {
  CHECK(error_of({"--confg", "a.toml"}) ==
        "dsr: command line: unknown argument \"--confg\"; nearest --config");
  CHECK(contains(error_of({"--sampel=3"}), "nearest --sample"));
  CHECK(contains(error_of({"--force"}), "nearest --fresh --force"));
  CHECK(contains(error_of({"--set", "a.b=1", "c.d=2"}), "c.d=2"));  // one value each
  CHECK(contains(error_of({"--config"}), "--config"));
  CHECK(contains(error_of({"--config", "a", "--config", "b"}), "--config"));
  CHECK(contains(error_of({"--set"}), "--set"));
  CHECK(contains(error_of({"--set", "train.lr"}), "no \"=\""));
  CHECK(contains(error_of({"--sample", "many"}), "many"));
  CHECK(contains(error_of({"--sample", "0"}), "allowed >= 1"));
  CHECK(contains(error_of({"--sample", "-5"}), "allowed >= 1"));
  try {
    parse({"extra"});
    FAIL("no error");
  } catch (UsageError const& error) {
    CHECK(error.exit_code() == 64);
  }
}

TEST_CASE("usage_text names every option") {
  std::string const text = usage_text("train_gpt");
  for (char const* option :
       {"train_gpt", "--config", "--set", "--dry-run", "--sample", "--version", "--help"}) {
    CHECK(contains(text, option));
  }
}
