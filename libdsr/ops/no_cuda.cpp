// SPDX-License-Identifier: Apache-2.0
#include "dsr/core/error.hpp"
#include "libdsr/ops/backend.hpp"

namespace dsr::detail {

Backend const& cuda_backend() {
  throw CudaError(problem("ops", "device cuda in a build without CUDA", "cpu or meta"));
}

}  // namespace dsr::detail
