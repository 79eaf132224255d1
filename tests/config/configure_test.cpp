// SPDX-License-Identifier: Apache-2.0
/// Parsing of texts and settings: every kind of mistake, alone and all together.
#include <algorithm>

#include "dsr/config/key_table.hpp"
#include "dsr/core/error.hpp"
#include "io/temporary_directory.hpp"
#include "support/catch.hpp"

using namespace dsr;
using namespace dsr::test;

namespace {

struct Program {
  Size steps = 10;
  int dp = 1;
  double lr = 0.5;
  bool tied = false;
  std::string path = "none", format = "auto", device = "cpu";
  std::vector<std::string> order{"dp", "row"};
  KeyTable table;

  Program() {
    table.add("train.steps", steps, {.min = 1, .max = 100});
    table.add("mesh.dp", dp, {.min = 1});
    table.add("train.lr", lr, {.above = 0, .below = 1});
    table.add("model.tied", tied);
    table.add("data.path", path);
    table.add("data.format", format, {.choices = {"auto", "text", "nanogpt"}});
    table.add("run.device", device, {.check = [](std::string const& text) {
                if (text != "cpu") throw InvalidArgument(problem("device", text, "cpu"));
              }});
    table.add("mesh.order", order, {.choices = {"dp", "row", "col"}});
  }

  std::string parse(std::string_view text) {
    return message_of<InvalidArgument>([&] { parse_toml(table, text, "a.toml"); });
  }
  std::string set(std::string_view setting) {
    return message_of<InvalidArgument>([&] { apply_set(table, setting); });
  }
};

}  // namespace

TEST_CASE("parse_toml sets what it names and leaves the rest") {
  Program p;
  CHECK(
      p.parse("[train]\nsteps = 1_00\nlr = 1e-3 # small\n[model]\ntied = true\n"
              "[data]\npath = 'x y'\nformat = \"nanogpt\"\n[mesh]\norder = [\"row\", \"dp\"]\n") ==
      "");
  CHECK(p.steps == 100);
  CHECK(p.lr == 1e-3);
  CHECK(p.tied);
  CHECK(p.path == "x y");
  CHECK(p.format == "nanogpt");
  CHECK(p.order == std::vector<std::string>{"row", "dp"});
  CHECK(p.dp == 1);
  CHECK(p.table.find("train.lr")->origin == "a.toml:3:6");
  CHECK(p.table.find("mesh.dp")->origin.empty());
  CHECK(p.parse("mesh.order = 'col, row  dp'\nmesh.dp = 3\r\n") == "");  // dotted keys, CRLF
  CHECK(p.order == std::vector<std::string>{"col", "row", "dp"});
  CHECK(p.dp == 3);
  CHECK(p.parse("") == "");
}

TEST_CASE("an unknown key is named with file, line, column and the nearest") {
  Program p;
  CHECK(p.parse("[train]\n\n  stpes = 5\n") ==
        "dsr: a.toml:3:3: train.stpes: unknown key; nearest train.steps");
  CHECK(p.parse("[trian]\nsteps = 5\n") ==
        "dsr: a.toml:2:1: trian.steps: unknown key; nearest train.steps");
  CHECK(p.parse("steps = 5\n") == "dsr: a.toml:1:1: steps: unknown key; nearest train.steps");
  CHECK(contains(p.parse("[tarin]\n"), "tarin: unknown section; nearest train."));
  CHECK(contains(p.parse("train = 5\n"), "a.toml:1:1: train: a value, allowed a section"));
  CHECK(p.steps == 10);
  CHECK(p.set("train.stepps=5") == "dsr: --set: train.stepps: unknown key; nearest train.steps");
}

TEST_CASE("a wrong type is named with what was found and what is allowed") {
  Program p;
  CHECK(p.parse("[train]\nsteps = \"many\"\n") ==
        "dsr: a.toml:2:9: train.steps: \"many\", allowed integer >= 1 and <= 100");
  CHECK(contains(p.parse("train.steps = 5.0"), "5.0, allowed integer"));
  CHECK(contains(p.parse("train.steps = true"), "true, allowed integer"));
  CHECK(contains(p.parse("train.lr = '0.1'"), "allowed number > 0 and < 1"));
  CHECK(contains(p.parse("model.tied = 1"), "1, allowed true or false"));
  CHECK(contains(p.parse("data.path = 3"), "3, allowed string"));
  CHECK(contains(p.parse("data.path = 2026-01-01"), "a date or time, allowed string"));
  CHECK(contains(p.parse("mesh.order = ['dp', 3]"), "allowed a list of dp, row or col"));
  CHECK(contains(p.parse("[train.lr]\nx = 1"), "train.lr: a section, allowed number"));
  CHECK(p.lr == 0.5);
}

TEST_CASE("a value out of range") {
  Program p;
  CHECK(p.parse("train.steps = 0") ==
        "dsr: a.toml:1:15: train.steps: 0, allowed integer >= 1 and <= 100");
  CHECK_FALSE(p.parse("train.steps = 101").empty());
  CHECK_FALSE(p.parse("train.lr = 0").empty());  // exclusive bounds
  CHECK_FALSE(p.parse("train.lr = 1.0").empty());
  CHECK_FALSE(p.parse("train.lr = nan").empty());
  CHECK_FALSE(p.parse("train.lr = inf").empty());
  CHECK_FALSE(p.parse("mesh.dp = 2147483648").empty());  // no int holds it
  CHECK_FALSE(p.parse("train.steps = 99999999999999999999").empty());
  CHECK(
      p.parse("data.format = 'nanogtp'") ==
      "dsr: a.toml:1:15: data.format: \"nanogtp\", allowed auto, text or nanogpt; nearest nanogpt");
  CHECK(contains(p.parse("mesh.order = ['dp', 'rwo']"),
                 "\"rwo\", allowed a list of dp, row or col; nearest row"));
  CHECK(p.parse("run.device = 'tpu'") == "dsr: a.toml:1:14: run.device: device: tpu, allowed cpu");
  CHECK(p.steps == 10);
  CHECK(p.format == "auto");
  CHECK(p.device == "cpu");
}

TEST_CASE("broken TOML and a key that is set twice have a line and a column") {
  Program p;
  CHECK(p.parse("[train]\nsteps = \n").rfind("dsr: a.toml:2:", 0) == 0);
  CHECK(p.parse("[train\nsteps = 1\n").rfind("dsr: a.toml:1:", 0) == 0);
  CHECK(p.parse("[train]\nlr = 0.1\nlr = 0.2\n").rfind("dsr: a.toml:3:", 0) == 0);
  CHECK(p.parse("[train]\nlr = 0.1\n[mesh]\ndp = 2\n[train]\nsteps = 2\n")
            .rfind("dsr: a.toml:5:", 0) == 0);
  CHECK(p.parse("\xff\xfe = 1").rfind("dsr: a.toml:1:", 0) == 0);
}

TEST_CASE("what toml++ takes for impossible is an ordinary error, in every kind of build") {
  for (std::string_view const text : {"[=", "[[=", "[a.=", "a.=1", "mesh.dp={=}"}) {
    INFO(text);
    std::string const said = Program{}.parse(text);
    CHECK(said.starts_with("dsr: a.toml:1:"));
    CHECK(said.find("'='") != std::string::npos);
  }
}

TEST_CASE("keys of many parts are refused before they exhaust the stack") {
  std::string deep = "a";
  for (int i = 0; i < 100'000; ++i) deep += ".a";
  for (std::string const& text : {"[" + deep + "]", deep + " = 1", "x = {" + deep + " = 1}",
                                  "x = [ # .\n" + deep + " = 1"}) {
    std::string const said = Program{}.parse("# a comment. With. Dots.\n\n" + text);
    CHECK(said.starts_with("dsr: a.toml:"));
    CHECK(said.find("a key of more than 32 parts, allowed at most 32") != std::string::npos);
  }
  CHECK(Program{}.parse("\n\n" + deep).starts_with("dsr: a.toml:3: "));
  // Dots in numbers, strings and comments are none of a key.
  std::string dots;
  for (int i = 0; i < 50; ++i) dots += " .";
  for (std::string const& value : {"\"" + dots + "\\\"" + dots + "\"", "'" + dots + "'",
                                   "\"\"\"" + dots + "\n\"" + dots + "\"\"\"", "1 #" + dots}) {
    INFO(value);
    CHECK(Program{}.parse("nothing = " + value).find("parts") == std::string::npos);
  }
}

TEST_CASE("--set takes TOML values, and bare words where strings go") {
  Program p;
  CHECK(p.set("train.steps = 7") == "");
  CHECK(p.set("train.lr=2e-1") == "");
  CHECK(p.set("model.tied=true") == "");
  CHECK(p.set("data.path=../a=b.txt") == "");
  CHECK(p.steps == 7);
  CHECK(p.lr == 0.2);
  CHECK(p.tied);
  CHECK(p.path == "../a=b.txt");
  CHECK(p.set("data.path=12") == "");  // a name that looks like a number
  CHECK(p.path == "12");
  CHECK(p.set("data.path=\"quo ted\"") == "");
  CHECK(p.path == "quo ted");
  CHECK(p.set("data.path=") == "");
  CHECK(p.path.empty());
  CHECK(p.set("mesh.order=row dp") == "");
  CHECK(p.order == std::vector<std::string>{"row", "dp"});
  CHECK(p.set("mesh.order=[\"col\"]") == "");
  CHECK(p.order == std::vector<std::string>{"col"});
  CHECK(p.table.find("mesh.order")->origin == "--set");
}

TEST_CASE("--set refuses what is not a value of the key") {
  Program p;
  CHECK(p.set("train.lr=fast") == "dsr: --set: train.lr: \"fast\", allowed number > 0 and < 1");
  CHECK(p.set("train.steps=") ==
        "dsr: --set: train.steps: nothing, allowed integer >= 1 and <= 100");
  CHECK(contains(p.set("train.steps=1000"), "1000, allowed"));
  CHECK(contains(p.set("train.steps=5\nmesh.dp = 2"), "allowed integer"));
  CHECK(contains(p.set("data.path=\"open"), "allowed string"));
  CHECK(contains(p.set("train.steps"), "no \"=\""));
  CHECK(contains(p.set("train=1"), "a section of keys"));
  CHECK(p.steps == 10);
}

TEST_CASE("all problems of all sources come in one error, in the order of the text") {
  Program p;
  std::string const text = message_of<InvalidArgument>([&] {
    configure(
        p.table,
        {.file_name = "b.toml",
         .text = "[train]\nsteps = 0\nlrr = 1\n[mesh]\norder = 'dp x'\ndp = 4\n[data]\nfmt = 1\n",
         .settings = {"train.lr=2", "mdel.tied=true", "data.path=ok"}});
  });
  CHECK(text ==
        "dsr: b.toml:2:9: train.steps: 0, allowed integer >= 1 and <= 100\n"
        "dsr: b.toml:3:1: train.lrr: unknown key; nearest train.lr\n"
        "dsr: b.toml:5:9: mesh.order: \"x\", allowed a list of dp, row or col; nearest dp\n"
        "dsr: b.toml:8:1: data.fmt: unknown key; nearest data.path\n"
        "dsr: --set: train.lr: 2, allowed number > 0 and < 1\n"
        "dsr: --set: mdel.tied: unknown key; nearest model.tied");
  CHECK(p.dp == 4);
  CHECK(p.path == "ok");
  // A text that is no TOML does not hide the settings' problems.
  std::string const both = message_of<InvalidArgument>([&] {
    configure(p.table, {.file_name = "c.toml", .text = "[", .settings = {"train.lr=2"}});
  });
  CHECK(std::count(both.begin(), both.end(), '\n') == 1);
}

TEST_CASE("settings win over the text, and the last over the first") {
  Program p;
  configure(p.table, {.file_name = "d.toml",
                      .text = "train.steps = 20",
                      .settings = {"train.steps=30", "train.steps=40"}});
  CHECK(p.steps == 40);
}

TEST_CASE("a required key must be set somewhere") {
  std::string train;
  KeyTable table;
  table.add("data.train", train, {.presence = Presence::required});
  CHECK(message_of<InvalidArgument>([&] { configure(table, {.file_name = "e.toml"}); }) ==
        "dsr: e.toml: data.train: not set, allowed string");
  configure(table, {.missing = Missing::allow});
  try {
    configure(table, {});
    FAIL("no error");
  } catch (InvalidArgument const& error) {
    CHECK(error.exit_code() == 78);
    CHECK(std::string{error.what()} == "dsr: data.train: not set, allowed string");
  }
  configure(table, {.settings = {"data.train=x.txt"}});
  CHECK(train == "x.txt");
}
