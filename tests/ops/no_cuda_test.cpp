// SPDX-License-Identifier: Apache-2.0
#include "dsr/core/error.hpp"
#include "libdsr/ops/backend.hpp"
#include "support/catch.hpp"

TEST_CASE("a build without CUDA says so") {
  CHECK_THROWS_AS(dsr::detail::backend({dsr::Device::Kind::cuda, 0}), dsr::CudaError);
}
