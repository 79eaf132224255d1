// SPDX-License-Identifier: Apache-2.0
#pragma once
/// How far runs of some twenty steps on different meshes may be apart, by type of the activations.
#include "dsr/core/dtype.hpp"

namespace dsr::test {

/// Relative, of every step's loss and gradient norm.
struct Tolerance {
  double loss = 0, norm = 0;
};

/// Of any mesh against one rank, both in `dtype`. f32 and f64 differ in the order of sums alone.
/// bf16 rounds by up to 2⁻⁹ = 0.2 %: where a mesh cuts a sum, its parts are rounded before they are
/// added, and AdamW's first steps, about the sign of each gradient, carry that into the weights. A
/// loss is a mean over more than a hundred tokens, most of whose errors cancel; a norm is not.
inline Tolerance mesh_tolerance(DType dtype) {
  switch (dtype) {
    case DType::f64:
      return {1e-11, 1e-11};
    case DType::f32:
      return {1e-6, 3e-6};
    default:
      return {5e-3, 4e-2};
  }
}

/// Of bf16 with f32 masters against f32, each on one rank: every activation and weight is rounded
/// in one and in the other not.
inline constexpr Tolerance kBf16ToF32{1e-2, 6e-2};

}  // namespace dsr::test
