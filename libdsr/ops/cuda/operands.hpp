// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Tensors as the kernels take them.
#include <string>

#include "dsr/core/cuda.hpp"
#include "dsr/core/error.hpp"
#include "kernels/common/types.hpp"
#include "libdsr/core/cuda/check.hpp"
#include "libdsr/ops/check.hpp"
#include "libdsr/ops/cuda/workspace.hpp"

namespace dsr::detail {

/// The elements of a bf16 tensor; null if it is undefined. Throws InvalidArgument for another type.
inline kernels::bf16_t* bf16(Tensor const& x) {
  if (!x.defined()) return nullptr;
  if (x.dtype() != DType::bf16) {
    throw InvalidArgument(problem("an operand on cuda", std::string(name_of(x.dtype())), "bf16"));
  }
  return static_cast<kernels::bf16_t*>(x.raw());
}

inline float* f32(Tensor const& x) { return x.defined() ? x.data<float>() : nullptr; }

/// After a launch: what it could not do becomes a CudaError.
inline void launched() { check(cudaGetLastError()); }

}  // namespace dsr::detail
