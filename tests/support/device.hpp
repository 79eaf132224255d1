// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Which device a test program runs on: CTest sets DSR_TEST_DEVICE=cuda for the tests named
/// <name>.gpu….
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "dsr/core/device.hpp"

namespace dsr::test {

/// What CTest shows as skipped.
inline constexpr int kSkipped = 77;

inline Device device() {
  char const* const name = std::getenv("DSR_TEST_DEVICE");
  return name == nullptr ? kCpu : parse_device(name);
}

/// True, and says so, if the test needs a GPU and there is none.
inline bool must_skip() {
  if (device().kind != Device::Kind::cuda || device_count(Device::Kind::cuda) > 0) return false;
  std::puts("skipped: there is no GPU");
  return true;
}

}  // namespace dsr::test
