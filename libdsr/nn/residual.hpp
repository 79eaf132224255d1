// SPDX-License-Identifier: Apache-2.0
#pragma once
/// The residual layout on one rank: which tokens and features of the micro-batch it holds.
#include "dsr/nn/pass.hpp"
#include "dsr/ops/elementwise.hpp"

namespace dsr::detail {

/// [T/R, H/C].
inline Shape residual_shape(Pass const& pass, Size hidden) {
  return {pass.tokens() / pass.mesh().size(Axis::row), hidden / pass.mesh().size(Axis::col)};
}

/// The dropout mask of site `site` for this rank's part of the residual layout. T/R rows,
/// `features` = H/C columns.
inline DropoutMask residual_mask(Pass const& pass, std::uint64_t site, Size features) {
  Size const rows = pass.tokens() / pass.mesh().size(Axis::row);
  Size const first = pass.mesh().place_in(Axis::row) * rows;
  auto const mine = [&](Tensor t) { return t.slice(0, first, first + rows); };
  return {.probability = pass.dropout(),
          .key = pass.random(RandomPurpose::dropout, site),
          .ordinals = mine(pass.batch().ordinals),
          .positions = mine(pass.batch().positions),
          .first_feature = pass.mesh().place_in(Axis::col) * features};
}

}  // namespace dsr::detail
