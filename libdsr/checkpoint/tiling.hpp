// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Whether boxes tile a shape, in n·log n steps for any boxes: those of a manifest may be hostile.
#include <vector>

#include "dsr/layout/box.hpp"

namespace dsr::detail {

/// True if the boxes cover every element exactly once. They must lie inside the shape and not be
/// empty.
bool tiles(Shape const& global, std::vector<Box> const& boxes);

}  // namespace dsr::detail
