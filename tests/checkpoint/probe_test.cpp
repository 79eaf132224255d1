// SPDX-License-Identifier: Apache-2.0
// Each rank passes for a node of its own; a disk that all ranks see is a real directory, one of a
// node's own is simulated.
#include "dsr/checkpoint/probe.hpp"

#include <filesystem>

#include "dsr/comm/collectives.hpp"
#include "dsr/core/error.hpp"
#include "dsr/io/files.hpp"
#include "support/catch.hpp"
#include "support/ranks.hpp"
#include "support/shared_directory.hpp"
#include "support/simulated_disk.hpp"

namespace dsr {
namespace {

using test::runtime;

bool is_empty(std::string const& directory) {
  wait_for_all(runtime().world());
  return system_files().list(directory).empty();
}

/// The exit code of the error that all ranks throw, and its text; 0 if there is none.
int refused(FileSystem& files, CheckpointOptions const& options, std::string& text) {
  try {
    probe_tiers(runtime(), files, options);
  } catch (AgreedError const& error) {
    text = error.what();
    return error.exit_code();
  }
  return 0;
}

bool contains(std::string const& text, std::string const& part) {
  return text.find(part) != text.npos;
}

}  // namespace

TEST_CASE(
    "a shared directory is made, is fine for the warm and the cold tier, and holds nothing after") {
  test::SharedDirectory const shared;
  std::string text;
  CheckpointOptions options{.warm = {.directory = shared.path() + "/a/warm"},
                            .cold = {.directory = shared.path() + "/cold"},
                            .node = runtime().rank()};
  CHECK(refused(system_files(), options, text) == 0);
  CHECK(text.empty());
  CHECK((is_empty(shared.path() + "/a/warm") && is_empty(shared.path() + "/cold")));
}

TEST_CASE("a hot tier that another node sees is refused, and named") {
  test::SharedDirectory const shared;
  std::string text;
  CheckpointOptions const options{.hot = {.directory = shared.path() + "/hot"},
                                  .node = runtime().rank()};
  int const code = refused(system_files(), options, text);
  CHECK(code == (runtime().size() > 1 ? 78 : 0));
  if (code != 0) {
    CHECK(contains(text, "checkpoint.hot.path: " + shared.path() + "/hot"));
    CHECK(contains(text, "sees what another node writes"));
  }
  CHECK(is_empty(shared.path() + "/hot"));
}

TEST_CASE("ranks of one node share its hot tier") {
  test::SharedDirectory const shared;
  std::string text;
  CheckpointOptions const options{.hot = {.directory = shared.path() + "/hot"}, .node = 0};
  CHECK(refused(system_files(), options, text) == 0);
  CHECK(is_empty(shared.path() + "/hot"));
}

TEST_CASE("a disk of each node's own is fine for the hot tier and for no other") {
  test::SimulatedDisk mine;
  std::string text;
  CHECK(refused(mine, {.hot = {.directory = "hot"}, .node = runtime().rank()}, text) == 0);
  CHECK(mine.list("hot").empty());
  for (bool const cold : {false, true}) {
    CheckpointOptions options{.node = runtime().rank()};
    (cold ? options.cold.directory : options.warm.directory) = "disk";
    int const code = refused(mine, options, text);
    CHECK(code == (runtime().size() > 1 ? 78 : 0));
    if (code != 0) {
      CHECK(contains(text, cold ? "checkpoint.cold.path: disk" : "checkpoint.warm.path: disk"));
      CHECK(contains(text, "does not see what rank 0 writes"));
    }
  }
}

TEST_CASE("a directory that one rank cannot write is an error of input and output on all") {
  test::SimulatedDisk mine;
  if (runtime().rank() == runtime().size() - 1)
    mine.faults().fail_at(test::Call::create, 1, EROFS, test::Lasting::persistent);
  std::string text;
  CHECK(refused(mine, {.hot = {.directory = "hot"}, .node = runtime().rank()}, text) == 74);
  CHECK(contains(text, "hot/probe."));
}

}  // namespace dsr
