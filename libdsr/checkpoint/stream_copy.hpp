// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "dsr/core/shape.hpp"

namespace dsr::detail {

/// Copies between blocks of memory that do not overlap, past the caches on x86: what is written is
/// not read first, a third of the traffic of a copy that is larger than the caches.
void stream_copy(void const* from, void* to, Size bytes);

}  // namespace dsr::detail
