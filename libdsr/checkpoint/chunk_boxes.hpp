// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Cuts a box into chunks that are contiguous in its row-major memory, in order.
#include <vector>

#include "dsr/layout/box.hpp"

namespace dsr::detail {

/// Boxes of at most `most` (>= 1) elements: whole inner dimensions, as even a cut as possible of
/// the one before, single indices of those outside. Covers the box exactly once.
std::vector<Box> chunk_boxes(Box const& box, Size most);

}  // namespace dsr::detail
