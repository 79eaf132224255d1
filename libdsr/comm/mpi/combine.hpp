// SPDX-License-Identifier: Apache-2.0
#pragma once
/// combine: out[i] = parts[0][i] ∘ parts[1][i] ∘ …, from the left, so that the bits do not depend
/// on who computes it.
///
/// Numerics  no starting value is added; max and min return NaN if any element is NaN
/// Memory    each part is read once and out written once; the running value stays in the
/// first-level cache
#include <cstddef>
#include <vector>

#include "dsr/comm/collectives.hpp"
#include "dsr/core/dtype.hpp"
#include "dsr/core/shape.hpp"

namespace dsr::detail {

/// `out` may be one of the parts. dtype is f32, f64, i32 or i64.
void combine(std::vector<std::byte const*> const& parts, std::byte* out, Size elements, DType dtype,
             Reduce operation);

/// Whether combine() knows the dtype.
bool combines(DType dtype);

}  // namespace dsr::detail
