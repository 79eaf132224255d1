// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Box: a rectangular part of a global tensor, [begin, begin + count) in every dimension.
///
///     Box box{{0, 4}, {8, 4}};                             // rows 0…7, columns 4…7
///     std::vector<Box> parts = boxes_of_range(box.count, 3, 21);   // a flat range, as boxes
#include <optional>
#include <string>
#include <vector>

#include "dsr/core/shape.hpp"

namespace dsr {

struct Box {
  Shape begin;  ///< first index in each dimension
  Shape count;  ///< sizes; a zero makes the box empty
  Size elements() const { return count.elements(); }
  bool empty() const { return elements() == 0; }
  bool operator==(Box const&) const = default;
};

/// The common part; nullopt if there is none. Throws InvalidArgument if the ranks differ.
std::optional<Box> intersect(Box const& a, Box const& b);

/// The flat range [begin, end) of a row-major block as the fewest boxes, in order: at most 2k − 1
/// for k dimensions. Throws InvalidArgument unless 0 <= begin <= end <= elements.
std::vector<Box> boxes_of_range(Shape const& block, Size begin, Size end);

/// True if the boxes cover every element of the shape exactly once.
bool covers_once(Shape const& global, std::vector<Box> const& boxes);

std::string to_string(Box const& box);

}  // namespace dsr
