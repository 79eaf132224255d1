// SPDX-License-Identifier: Apache-2.0
// Stands in for cuda/ in a build without CUDA, where no Stream and no Buffer of CUDA can be made.
#include "dsr/core/error.hpp"
#include "libdsr/core/cuda_memory.hpp"

namespace dsr::detail {

void cuda_copy(void* /*to*/, void const* /*from*/, Size /*bytes*/, Stream& stream) { require_device(stream.device()); }
void cuda_zero(void* /*to*/, Size /*bytes*/, Stream& stream) { require_device(stream.device()); }

}  // namespace dsr::detail
