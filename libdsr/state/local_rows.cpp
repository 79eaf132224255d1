// SPDX-License-Identifier: Apache-2.0
#include "libdsr/state/local_rows.hpp"

namespace dsr::detail {

LocalRows::LocalRows(Shard const& shard, Place const& place)
    : global_(shard.global()), local_(shard.local_shape()), box_(shard.box(place)) {
  length_ = global_.rank() == 0 ? 1 : box_.count[-1];
  rows_ = length_ == 0 ? 0 : box_.elements() / length_;
}

LocalRows::Start LocalRows::start(Size row) const {
  Start start;
  Size local_stride = 1, global_stride = 1;
  for (int dim = global_.rank() - 1; dim >= 0; --dim) {
    bool const is_run = dim == global_.rank() - 1;
    Size const i = is_run ? 0 : row % box_.count[dim];
    if (!is_run) row /= box_.count[dim];
    start.local += i * local_stride;
    start.global += (box_.begin[dim] + i) * global_stride;
    local_stride *= local_[dim];
    global_stride *= global_[dim];
  }
  return start;
}

}  // namespace dsr::detail
