// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "dsr/checkpoint/manifest.hpp"

namespace dsr::detail {

/// Names of the tensors that have bytes in [begin, end) of a file, at most three.
std::string tensors_in(Manifest const& manifest, std::size_t file, Size begin, Size end);

/// Where a block of a file ends: 4 MiB after its begin, or with the file.
Size block_end(StoredFile const& file, Size block);

}  // namespace dsr::detail
