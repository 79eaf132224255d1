// SPDX-License-Identifier: Apache-2.0
#include "dsr/core/text.hpp"

#include <array>

#include "support/catch.hpp"

using dsr::nearest_name;

TEST_CASE("the nearest name is the one with the fewest edits") {
  std::array<std::string_view, 4> const known{"layers", "hidden", "heads", "head_size"};
  CHECK(nearest_name("haeds", known) == "heads");      // a swap is one edit
  CHECK(nearest_name("layer", known) == "layers");     // insert
  CHECK(nearest_name("layersss", known) == "layers");  // delete
  CHECK(nearest_name("hiddem", known) == "hidden");    // replace
  CHECK(nearest_name("HEAD_SIZE", known) == "head_size");
  CHECK(nearest_name("heads", known) == "heads");
}

TEST_CASE("the first of equals wins, and nothing is near to nothing") {
  std::array<std::string_view, 2> const known{"ab", "ac"};
  CHECK(nearest_name("ax", known) == "ab");
  CHECK(nearest_name("", known) == "ab");
  CHECK(nearest_name("ax", {}).empty());
}
