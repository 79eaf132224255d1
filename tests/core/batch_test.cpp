// SPDX-License-Identifier: Apache-2.0
#include "dsr/core/batch.hpp"

#include "support/catch.hpp"

TEST_CASE("a default batch is empty") {
  dsr::Batch const batch;
  CHECK_FALSE(batch.tokens.defined());
  CHECK(batch.counted == 0);
}
