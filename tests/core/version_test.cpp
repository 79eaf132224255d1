// SPDX-License-Identifier: Apache-2.0
#include "dsr/core/version.hpp"

#include <algorithm>

#include "support/catch.hpp"

TEST_CASE("the version is three numbers") {
  auto const version = dsr::version();
  CHECK(std::count(version.begin(), version.end(), '.') == 2);
  CHECK(version.find_first_not_of("0123456789.") == std::string_view::npos);
}
