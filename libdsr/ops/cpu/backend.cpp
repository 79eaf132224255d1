// SPDX-License-Identifier: Apache-2.0
#include "libdsr/ops/cpu/cpu_backend.hpp"

namespace dsr::detail {

Backend const& cpu_backend() {
  static CpuBackend const instance;
  return instance;
}

}  // namespace dsr::detail
