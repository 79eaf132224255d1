// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Bf16: a bfloat16 on the host, for storing and converting; arithmetic is done in float.
///
///     Bf16 x{3.14159F};                  // rounded to nearest, ties to even
///     float y = static_cast<float>(x);   // exact
#include <bit>
#include <cstdint>

#include "dsr/core/dtype.hpp"

namespace dsr {

/// The upper half of a float's bits. NaN stays NaN.
struct Bf16 {
  std::uint16_t bits = 0;

  Bf16() = default;
  explicit Bf16(float value) {
    auto const word = std::bit_cast<std::uint32_t>(value);
    bool const nan = (word & 0x7FFFFFFFU) > 0x7F800000U;
    // Adding just under half of the last kept bit, and that bit itself, rounds ties to even.
    std::uint32_t const rounded = nan ? word | 0x400000U : word + 0x7FFFU + (word >> 16 & 1U);
    bits = static_cast<std::uint16_t>(rounded >> 16);
  }
  explicit operator float() const {
    return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
  }
  bool operator==(Bf16 const&) const = default;
};

namespace detail {
template <>
constexpr DType find_dtype<Bf16>() {
  return DType::bf16;
}
}  // namespace detail

}  // namespace dsr
