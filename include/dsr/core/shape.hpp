// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Shape: up to six sizes, outermost first, held in place (no allocation).
///
///     Shape s{T, H};  s[0] == T;  s[-1] == H;  s.elements() == T * H;
#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

namespace dsr {

/// Signed, so that differences are safe; counts elements unless a suffix says otherwise.
using Size = std::int64_t;

class Shape {
 public:
  static constexpr int kMaxRank = 6;

  Shape() = default;
  /// Throws InvalidArgument if there are more than kMaxRank sizes or one is negative.
  Shape(std::initializer_list<Size> sizes);
  explicit Shape(std::span<Size const> sizes);

  int rank() const { return rank_; }
  /// Size of a dimension; -1 is the last. Throws InvalidArgument outside [-rank, rank).
  Size operator[](int dim) const;
  /// The same shape with one size changed.
  Shape with(int dim, Size size) const;
  /// The shape without its first dimension.
  Shape inner() const;
  /// Product of the sizes; 1 for rank 0.
  Size elements() const;

  Size const* begin() const { return sizes_.data(); }
  Size const* end() const { return sizes_.data() + rank_; }
  bool operator==(Shape const& other) const = default;

 private:
  std::array<Size, kMaxRank> sizes_{};
  int rank_ = 0;
};

/// "[12, 64]".
std::string to_string(Shape const& shape);

/// ceil(a / b) for a >= 0, b > 0.
constexpr Size ceil_div(Size a, Size b) { return (a + b - 1) / b; }
/// The smallest multiple of `unit` that is >= a.
constexpr Size round_up(Size a, Size unit) { return ceil_div(a, unit) * unit; }

}  // namespace dsr
