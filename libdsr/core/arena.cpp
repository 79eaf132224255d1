// SPDX-License-Identifier: Apache-2.0
#include "dsr/core/arena.hpp"

#include <algorithm>
#include <cstddef>
#include <string>

#include "dsr/core/error.hpp"

namespace dsr {

Arena::Arena(Size capacity_bytes, Device device)
    : buffer_(capacity_bytes, device), capacity_bytes_(capacity_bytes) {}

Tensor Arena::take(Shape const& shape, DType dtype) {
  Size const bytes = shape.elements() * size_of(dtype);
  Size const left_bytes = capacity_bytes_ - used_bytes_;
  // Sizes in use are multiples of the alignment, so that equal takes use equal bytes in every
  // order.
  if (buffer_.data() == nullptr || bytes > left_bytes ||
      round_up(bytes, kAlignment_bytes) > left_bytes) {
    throw OutOfMemory(problem("arena on " + to_string(buffer_.device()),
                              "take of " + std::to_string(bytes) + " bytes for " +
                                  to_string(shape) + " " + std::string{name_of(dtype)} + " with " +
                                  std::to_string(used_bytes_) + " of " +
                                  std::to_string(capacity_bytes_) + " bytes in use",
                              "up to " + std::to_string(left_bytes) + " bytes"));
  }
  Tensor taken{static_cast<std::byte*>(buffer_.data()) + used_bytes_, shape, dtype,
               buffer_.device()};
  used_bytes_ += round_up(bytes, kAlignment_bytes);
  high_water_bytes_ = std::max(high_water_bytes_, used_bytes_);
  return taken;
}

void Arena::release(Size mark_bytes) {
  if (mark_bytes < 0 || mark_bytes > used_bytes_) {
    throw InvalidArgument(problem("arena", "release to " + std::to_string(mark_bytes) + " bytes",
                                  "0 to " + std::to_string(used_bytes_) + ", the bytes in use"));
  }
  used_bytes_ = mark_bytes;
}

}  // namespace dsr
