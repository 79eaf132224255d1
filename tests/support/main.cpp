// SPDX-License-Identifier: Apache-2.0
/// The main of tests that need no ranks.
#define CATCH_CONFIG_RUNNER
#include "support/catch.hpp"
#include "support/device.hpp"

int main(int argc, char** argv) {
  if (dsr::test::must_skip()) return dsr::test::kSkipped;
  return Catch::Session().run(argc, argv);
}
