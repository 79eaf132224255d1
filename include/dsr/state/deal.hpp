// SPDX-License-Identifier: Apache-2.0
#pragma once
/// FlatRange and Deal: which elements of a row-major block are whose. Pure numbers.
///
///     FlatRange{0, 10}.part(1, 3);                       // [3, 6)
///     Deal deal{Axis::dp, {0, shard.local_shape().elements()}};   // replicas share a block evenly
#include <string>

#include "dsr/core/shape.hpp"
#include "dsr/layout/axis.hpp"

namespace dsr {

/// A contiguous range, in elements.
struct FlatRange {
  Size begin = 0, end = 0;
  Size elements() const { return end - begin; }
  /// Part `number` of `parts`: contiguous, in order, and of sizes that differ by at most one.
  /// Throws InvalidArgument unless 0 <= number < parts.
  FlatRange part(int number, int parts) const;
  /// The elements that are in both, as a range within this one, empty if there are none.
  FlatRange common(FlatRange const& other) const;
  /// The range seen from an origin `by` elements further on.
  FlatRange seen_from(Size by) const { return {begin - by, end - by}; }
  bool operator==(FlatRange const&) const = default;
};

/// "[begin, end)".
std::string to_string(FlatRange const& range);

/// How ranks with copies of one local block deal its elements: rank i of the product `over` has
/// part i of `whole`, as far as that is in the block. Counted from the block's first element;
/// `whole` may begin before and end behind it, as the bucket of a flat buffer does.
struct Deal {
  AxisSet over;
  FlatRange whole;
  bool operator==(Deal const&) const = default;
};

}  // namespace dsr
