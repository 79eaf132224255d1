// SPDX-License-Identifier: Apache-2.0
#include "dsr/core/range.hpp"

#include "support/catch.hpp"

using namespace dsr;

TEST_CASE("ranges nest into a path, and each takes back what it added") {
  std::string path;
  {
    Range outer{path, "blocks/3"};
    CHECK(path == "blocks/3");
    {
      Range inner{path, "attention"};
      CHECK(path == "blocks/3/attention");
      inner.next("ffn");
      CHECK(path == "blocks/3/ffn");
    }
    CHECK(path == "blocks/3");
    outer.next("norm");
    CHECK(path == "norm");
  }
  CHECK(path.empty());
}

TEST_CASE("an error that leaves ranges ends them") {
  std::string path;
  try {
    Range const outer{path, "a"}, inner{path, "b"};
    CHECK(path == "a/b");
    throw 1;
  } catch (int) {
  }
  CHECK(path.empty());
}
