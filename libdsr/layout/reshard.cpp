// SPDX-License-Identifier: Apache-2.0
#include "dsr/layout/reshard.hpp"

#include <string>

#include "dsr/core/error.hpp"

namespace dsr {
namespace {

struct Owner {
  int rank = 0;
  Box box;
};

/// Of each distinct box the lowest rank that holds it: the one at index 0 of every axis that cuts
/// nothing.
std::vector<Owner> owners_of(Shard const& shard) {
  std::vector<Owner> owners;
  AxisSet const replicated = kWorld - shard.cut_over();
  for (int rank = 0; rank < shard.mesh().ranks(); ++rank) {
    Place const place = place_of(shard.mesh(), rank);
    if (place_in(shard.mesh(), place, replicated) != 0) continue;
    Box box = shard.box(place);
    if (!box.empty()) owners.push_back({rank, box});
  }
  return owners;
}

}  // namespace

std::vector<Move> reshard(Shard const& source, Shard const& target) {
  if (source.global() != target.global()) {
    throw InvalidArgument(problem("reshard",
                                  to_string(source.global()) + " to " + to_string(target.global()),
                                  "the same global shape"));
  }
  std::vector<Owner> const owners = owners_of(source);
  std::vector<Move> moves;
  for (int to = 0; to < target.mesh().ranks(); ++to) {
    Box const wanted = target.box(place_of(target.mesh(), to));
    if (wanted.empty()) continue;
    for (Owner const& owner : owners) {
      if (auto common = intersect(owner.box, wanted)) moves.push_back({owner.rank, to, *common});
    }
  }
  return moves;
}

Size local_offset(Shard const& shard, Box const& held, Shape const& index) {
  Shape const local = shard.local_shape();
  Size offset = 0;
  for (int dim = 0; dim < local.rank(); ++dim) {
    Size const i = index[dim] - held.begin[dim];
    if (i < 0 || i >= held.count[dim]) {
      throw InvalidArgument(
          problem("local offset", "element " + to_string(index), "inside " + to_string(held)));
    }
    offset = offset * local[dim] + i;
  }
  return offset;
}

}  // namespace dsr
