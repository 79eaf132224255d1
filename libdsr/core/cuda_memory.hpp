// SPDX-License-Identifier: Apache-2.0
#pragma once
/// What core asks of CUDA: defined in cuda/ in a build with CUDA, in no_cuda.cpp otherwise.
#include "dsr/core/device.hpp"
#include "dsr/core/shape.hpp"
#include "dsr/core/stream.hpp"

namespace dsr::detail {

void cuda_copy(void* to, void const* from, Size bytes, Stream& stream);
void cuda_zero(void* to, Size bytes, Stream& stream);

}  // namespace dsr::detail
