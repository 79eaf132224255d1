// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Reshard plans: which box each rank of one mesh must get from which rank of another. Pure
/// numbers.
///
///     std::vector<Move> plan = reshard(saved_shard, wanted_shard);
///     // rank m.to copies m.box (global indices) from rank m.from
#include <vector>

#include "dsr/layout/shard.hpp"

namespace dsr {

struct Move {
  int from = 0;  ///< rank of the source mesh
  int to = 0;    ///< rank of the target mesh
  Box box;       ///< in global indices
};

/// Every element that a target rank holds comes from exactly one source rank, the replica with the
/// lowest rank that holds it. Moves are ordered by (to, from). Throws InvalidArgument if the global
/// shapes differ.
std::vector<Move> reshard(Shard const& source, Shard const& target);

/// Where element `index` (global) lies in a rank's row-major local storage, in elements.
/// `held` is the rank's box. Throws InvalidArgument if the element is not in it.
Size local_offset(Shard const& shard, Box const& held, Shape const& index);

}  // namespace dsr
