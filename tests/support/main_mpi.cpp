// SPDX-License-Identifier: Apache-2.0
/// The main of tests that run under mpirun: the worst result of all ranks is the result of each.
#define CATCH_CONFIG_RUNNER
#include "dsr/comm/collectives.hpp"
#include "support/catch.hpp"
#include "support/device.hpp"
#include "support/ranks.hpp"

namespace {
dsr::Runtime* current = nullptr;
}

dsr::Runtime& dsr::test::runtime() { return *current; }

int main(int argc, char** argv) {
  if (dsr::test::must_skip()) return dsr::test::kSkipped;
  // A collective that waits longer than this is a deadlock in the test; CTest's own limit would
  // hide which one.
  dsr::Runtime runtime{argc, argv, {.device = dsr::test::device(), .timeout_s = 60}};
  current = &runtime;
  int const failed = Catch::Session().run(argc, argv);
  double const worst = dsr::all_reduce_value(failed, dsr::Reduce::max, runtime.world());
  return worst > 0 ? 1 : 0;
}
