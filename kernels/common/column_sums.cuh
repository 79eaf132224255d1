// SPDX-License-Identifier: Apache-2.0
#pragma once
/// The second half of sums over the rows of a matrix, without atomics: partial sums of slices of the
/// rows are added in a fixed order, so that the bits are the same every time.
#include "kernels/common/types.hpp"

namespace dsr::kernels {

/// first [features] += Σ over slices of partials[0], second likewise of partials[1], with partials
/// [2, slices, features]. Null sums are left out.
void add_partials(float const* partials, float* first, float* second, int slices, index_t features,
                  stream_t stream);

}  // namespace dsr::kernels
