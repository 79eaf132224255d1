// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Arena: a stack allocator over one Buffer. Taking is an addition; memory goes back in reverse
/// order, by mark.
///
///     Arena arena{bytes, device};
///     Size before = arena.used_bytes();
///     Tensor x = arena.take({T, H}, DType::f32);
///     arena.release(before);                        // x is dead
///
/// On `meta` the capacity may be kUnbounded: then it measures what a run needs.
#include <limits>

#include "dsr/core/buffer.hpp"
#include "dsr/core/tensor.hpp"

namespace dsr {

/// Moves with its Buffer. One host thread uses it.
class Arena {
 public:
  static constexpr Size kUnbounded = std::numeric_limits<Size>::max() / 4;

  Arena() = default;
  Arena(Size capacity_bytes, Device device);

  /// A contiguous tensor at the next kAlignment_bytes boundary, uninitialised.
  /// Throws OutOfMemory: bytes asked for, in use and available.
  Tensor take(Shape const& shape, DType dtype);
  /// Back to an earlier used_bytes(). Throws InvalidArgument if it is not an earlier one.
  void release(Size mark_bytes);

  Size used_bytes() const { return used_bytes_; }
  Size capacity_bytes() const { return capacity_bytes_; }
  /// The largest used_bytes() so far.
  Size high_water_bytes() const { return high_water_bytes_; }

 private:
  Buffer buffer_;
  Size capacity_bytes_ = 0;
  Size used_bytes_ = 0;
  Size high_water_bytes_ = 0;
};

}  // namespace dsr
