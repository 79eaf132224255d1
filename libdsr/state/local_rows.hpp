// SPDX-License-Identifier: Apache-2.0
#pragma once
/// LocalRows: the true elements of one rank's local block as runs that are contiguous both in the
/// local storage and in the global tensor. Padding belongs to no run.
#include "dsr/layout/shard.hpp"

namespace dsr::detail {

class LocalRows {
 public:
  LocalRows(Shard const& shard, Place const& place);

  Size rows() const { return rows_; }
  /// Elements of a run: the same for all.
  Size length() const { return length_; }
  /// Flat indices of a run's first element.
  struct Start {
    Size local = 0, global = 0;
  };
  Start start(Size row) const;

 private:
  Shape global_, local_;
  Box box_;
  Size rows_ = 0, length_ = 0;
};

}  // namespace dsr::detail
