// SPDX-License-Identifier: Apache-2.0
#include "dsr/core/shape.hpp"

#include <algorithm>

#include "dsr/core/error.hpp"

namespace dsr {
namespace {

/// Non-negative number of a dimension that may be counted from the end.
std::size_t dimension(Shape const& shape, int dim) {
  int const rank = shape.rank();
  if (dim < -rank || dim >= rank) {
    throw InvalidArgument(problem("shape " + to_string(shape), "dimension " + std::to_string(dim),
                                  std::to_string(-rank) + " to " + std::to_string(rank - 1)));
  }
  return static_cast<std::size_t>(dim < 0 ? dim + rank : dim);
}

}  // namespace

Shape::Shape(std::initializer_list<Size> sizes)
    : Shape(std::span<Size const>{sizes.begin(), sizes.size()}) {}

Shape::Shape(std::span<Size const> sizes) {
  if (sizes.size() > static_cast<std::size_t>(kMaxRank)) {
    throw InvalidArgument(problem("shape", std::to_string(sizes.size()) + " dimensions",
                                  "0 to " + std::to_string(kMaxRank)));
  }
  std::copy(sizes.begin(), sizes.end(), sizes_.begin());
  rank_ = static_cast<int>(sizes.size());
  if (std::any_of(begin(), end(), [](Size size) { return size < 0; })) {
    throw InvalidArgument(problem("shape", to_string(*this), "sizes >= 0"));
  }
}

Size Shape::operator[](int dim) const { return sizes_[dimension(*this, dim)]; }

Shape Shape::with(int dim, Size size) const {
  Shape changed = *this;
  changed.sizes_[dimension(*this, dim)] = size;
  return Shape{std::span<Size const>{changed.begin(), changed.end()}};
}

Shape Shape::inner() const {
  dimension(*this, 0);
  return Shape{std::span<Size const>{begin() + 1, end()}};
}

Size Shape::elements() const {
  Size product = 1;
  for (Size size : *this) product *= size;
  return product;
}

std::string to_string(Shape const& shape) {
  std::string text{"["};
  for (Size size : shape) {
    if (text.size() > 1) text += ", ";
    text += std::to_string(size);
  }
  return text + "]";
}

}  // namespace dsr
