// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Which device a test program runs on: CTest sets DSR_TEST_DEVICE=cuda for the tests named
/// <name>.gpu….
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "dsr/core/device.hpp"
#include "dsr/core/dtype.hpp"

namespace dsr::test {

/// What CTest shows as skipped.
inline constexpr int kSkipped = 77;

inline Device device() {
  char const* const name = std::getenv("DSR_TEST_DEVICE");
  return name == nullptr ? kCpu : parse_device(name);
}

inline bool on_cuda() { return device().kind == Device::Kind::cuda; }

/// Of the activations in tests of layers and training.
inline DType dtype() { return on_cuda() ? DType::bf16 : DType::f32; }

/// True, and says so, if the test needs a GPU and there is none.
inline bool must_skip() {
  if (!on_cuda() || device_count(Device::Kind::cuda) > 0) return false;
  std::puts("skipped: there is no GPU");
  return true;
}

}  // namespace dsr::test
