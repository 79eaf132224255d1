// SPDX-License-Identifier: Apache-2.0
#include "dsr/config/key_table.hpp"

#include "dsr/core/error.hpp"
#include "io/temporary_directory.hpp"
#include "support/catch.hpp"

using namespace dsr;
using namespace dsr::test;

TEST_CASE("add keeps the default and the place of a key") {
  double lr = 0.001;
  std::string name = "a \"b\"";
  std::vector<std::string> order{"dp", "row"};
  bool tied = true;
  KeyTable table;
  table.add("train.lr", lr);
  table.add("run.name", name);
  table.add("mesh.order", order);
  table.add("tied", tied);
  REQUIRE(table.keys().size() == 4);
  lr = 5;  // the default is what it was
  CHECK(table.keys()[0].fallback == "0.001");
  CHECK(table.keys()[1].fallback == R"("a \"b\"")");
  CHECK(table.keys()[2].fallback == "\"dp row\"");
  CHECK(table.keys()[3].fallback == "true");
  CHECK(table.find("run.name") == &table.keys()[1]);
  CHECK(table.find("run") == nullptr);
  CHECK(table.is_section("run"));
  CHECK_FALSE(table.is_section("ru"));
  CHECK_FALSE(table.is_section("run.name"));
}

TEST_CASE("add refuses names that are not free") {
  int a = 1;
  KeyTable table;
  table.add("my.section.key", a);
  for (char const* name : {"my.section.key", "my.section", "my", "my.section.key.more", "", ".a",
                           "a.", "a..b", "a b", "a=b"}) {
    INFO(name);
    CHECK_THROWS_AS(table.add(name, a), InvalidArgument);
  }
  table.add("my.section.key-2_b", a);
}

TEST_CASE("add refuses a default outside its own range") {
  int a = -1;
  std::string b;
  KeyTable table;
  CHECK(contains(message_of<InvalidArgument>([&] { table.add("x.a", a, {.min = 0}); }), "x.a: -1"));
  CHECK_THROWS_AS(table.add("x.b", b, {.choices = {"yes", "no"}}), InvalidArgument);
  table.add("x.b", b, {.choices = {"yes", "no"}, .presence = Presence::required});
}

TEST_CASE("nearest looks in all sections") {
  int v = 0;
  KeyTable table;
  CHECK(table.nearest("anything").empty());
  for (char const* name : {"model.layers", "model.hidden", "train.lr", "train.min_lr", "mesh.dp"}) {
    table.add(name, v);
  }
  CHECK(table.nearest("model.hiden") == "model.hidden");
  CHECK(table.nearest("modle.layers") == "model.layers");
  CHECK(table.nearest("model.lr") == "train.lr");  // the word is right, the section wrong
  CHECK(table.nearest("layer") == "model.layers");
  CHECK(table.nearest("train.minlr") == "train.min_lr");
}

TEST_CASE("help and markdown list every key with its facts") {
  Size steps = 10;
  double dropout = 0;
  std::string format = "auto", path;
  KeyTable table;
  table.add("train.steps", steps, {.help = "optimizer steps", .unit = "steps", .min = 1});
  table.add("model.dropout", dropout, {.help = "share | dropped", .min = 0, .below = 1});
  table.add("train.format", format, {.help = "of files", .choices = {"auto", "text", "bin"}});
  table.add("train.path", path, {.help = "a file", .presence = Presence::required});

  CHECK(help_text(table) ==
        "[train]\n"
        "  steps   = 10        integer >= 1 (steps)  optimizer steps\n"
        "  format  = \"auto\"    auto, text or bin     of files\n"
        "  path    = required  string                a file\n"
        "\n"
        "[model]\n"
        "  dropout = 0         number >= 0 and < 1   share | dropped\n");
  CHECK(markdown(table) ==
        "## `[train]`\n\n"
        "| key | default | values | unit | meaning |\n|---|---|---|---|---|\n"
        "| `steps` | `10` | integer >= 1 | steps | optimizer steps |\n"
        "| `format` | `\"auto\"` | auto, text or bin |  | of files |\n"
        "| `path` | required | string |  | a file |\n"
        "\n"
        "## `[model]`\n\n"
        "| key | default | values | unit | meaning |\n|---|---|---|---|---|\n"
        "| `dropout` | `0` | number >= 0 and < 1 |  | share \\| dropped |\n");
}
