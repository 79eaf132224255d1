// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Axis and AxisSet: the named directions of a mesh and their products.
///
///     AxisSet both = Axis::row | Axis::col;
///     both.has(Axis::row);  to_string(both) == "row×col"
#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace dsr {

/// dp: data parallel. pp: pipeline, reserved, size 1. row and col: the two directions of model
/// parallelism.
enum class Axis : std::uint8_t { dp, pp, row, col };

inline constexpr int kAxes = 4;
/// Outermost first; also the order in which a product of axes numbers its ranks.
inline constexpr std::array<Axis, kAxes> kAllAxes{Axis::dp, Axis::pp, Axis::row, Axis::col};

/// A set of axes, also read as their product: a group of the ranks that differ only in these.
class AxisSet {
 public:
  constexpr AxisSet() = default;
  // implicit: one axis is a set
  constexpr AxisSet(Axis axis) : bits_(1U << static_cast<unsigned>(axis)) {}

  constexpr bool has(Axis axis) const { return (bits_ >> static_cast<unsigned>(axis) & 1U) != 0; }
  constexpr bool empty() const { return bits_ == 0; }
  constexpr unsigned bits() const { return bits_; }
  constexpr bool operator==(AxisSet const&) const = default;
  friend constexpr AxisSet operator|(AxisSet a, AxisSet b) { return AxisSet{a.bits_ | b.bits_}; }
  friend constexpr AxisSet operator&(AxisSet a, AxisSet b) { return AxisSet{a.bits_ & b.bits_}; }
  /// The axes of a that are not in b.
  friend constexpr AxisSet operator-(AxisSet a, AxisSet b) { return AxisSet{a.bits_ & ~b.bits_}; }

 private:
  constexpr explicit AxisSet(unsigned bits) : bits_(bits) {}
  unsigned bits_ = 0;
};

constexpr AxisSet operator|(Axis a, Axis b) { return AxisSet{a} | AxisSet{b}; }

inline constexpr AxisSet kModelAxes = Axis::row | Axis::col;
inline constexpr AxisSet kWorld = AxisSet{Axis::dp} | Axis::pp | Axis::row | Axis::col;

/// All products of one or more axes, each axis set once.
constexpr std::array<AxisSet, (1U << kAxes) - 1> all_products() {
  std::array<AxisSet, (1U << kAxes) - 1> products{};
  for (unsigned bits = 1; bits < 1U << kAxes; ++bits) {
    for (Axis axis : kAllAxes) {
      if ((bits & AxisSet{axis}.bits()) != 0) products[bits - 1] = products[bits - 1] | axis;
    }
  }
  return products;
}

/// "dp", "pp", "row", "col".
std::string_view name_of(Axis axis);
/// "row×col"; "none" for the empty set; "world" for all axes.
std::string to_string(AxisSet axes);
/// A name → Axis. Throws InvalidArgument with the nearest name.
Axis parse_axis(std::string_view name);

}  // namespace dsr
