// SPDX-License-Identifier: Apache-2.0
#pragma once
/// DType: the element type of a Tensor.
///
///     size_of(DType::f32) == 4;  dtype_of<double> == DType::f64;
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

namespace dsr {

enum class DType : std::uint8_t { u8, i32, i64, bf16, f32, f64 };

/// Bytes of one element.
constexpr std::int64_t size_of(DType type) {
  switch (type) {
    case DType::u8: return 1;
    case DType::bf16: return 2;
    case DType::i32:
    case DType::f32: return 4;
    case DType::i64:
    case DType::f64: return 8;
  }
  return 0;
}

/// What sums over values of a type are kept in: statistics, gradients, moments. f32 for bf16, else
/// the type itself.
constexpr DType accumulator_of(DType type) { return type == DType::bf16 ? DType::f32 : type; }

/// "u8", "i32", "i64", "bf16", "f32" or "f64".
std::string_view name_of(DType type);

namespace detail {
template <class T>
constexpr DType find_dtype() {
  if constexpr (std::is_same_v<T, std::uint8_t> || std::is_same_v<T, std::byte>) {
    return DType::u8;
  } else if constexpr (std::is_same_v<T, std::int32_t>) {
    return DType::i32;
  } else if constexpr (std::is_same_v<T, std::int64_t>) {
    return DType::i64;
  } else if constexpr (std::is_same_v<T, float>) {
    return DType::f32;
  } else {
    static_assert(std::is_same_v<T, double>, "no DType stands for this C++ type");
    return DType::f64;
  }
}
}  // namespace detail

/// The DType of a C++ type; Bf16 (core/bf16.hpp) has one too.
template <class T>
inline constexpr DType dtype_of = detail::find_dtype<T>();

}  // namespace dsr
