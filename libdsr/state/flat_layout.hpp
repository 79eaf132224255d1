// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Where parameters lie in flat buffers: numbers only, no memory.
#include <span>
#include <string>
#include <vector>

#include "dsr/state/parameters.hpp"

namespace dsr::detail {

struct NamedParameter {
  std::string name;
  Parameter* parameter = nullptr;
};

struct FlatLayout {
  std::vector<FlatBuffer> flats;       ///< without tensors
  std::vector<ParameterPlace> places;  ///< in visiting order
  /// Elements of a flat buffer, padding included.
  Size elements(std::size_t flat) const { return flats[flat].buckets.back().range.end; }
};

/// One flat buffer per (partial_over, decay), filled in reverse visiting order.
FlatLayout lay_out(std::span<NamedParameter const> visited, MeshShape const& mesh,
                   ParameterOptions const& options);

}  // namespace dsr::detail
