// SPDX-License-Identifier: Apache-2.0
#include "libdsr/comm/mpi/combine.hpp"

#include <algorithm>
#include <cstring>
#include <type_traits>

namespace dsr::detail {

namespace {

// 8 KiB of f64: the running value stays in a first-level cache beside one part.
constexpr Size kBlock = 1024;

struct Sum {
  template <class T>
  static T apply(T a, T b) {
    // Unsigned, so that overflow wraps instead of being undefined.
    if constexpr (std::is_integral_v<T>) {
      using U = std::make_unsigned_t<T>;
      return static_cast<T>(static_cast<U>(a) + static_cast<U>(b));
    } else {
      return a + b;
    }
  }
};

struct Max {
  template <class T>
  static T apply(T a, T b) {
    return (b > a) | (b != b) ? b : a;
  }
};

struct Min {
  template <class T>
  static T apply(T a, T b) {
    return (b < a) | (b != b) ? b : a;
  }
};

template <class T, class Operation>
void add_to(T* __restrict total, T const* __restrict part, Size n) {
  for (Size i = 0; i < n; ++i) total[i] = Operation::apply(total[i], part[i]);
}

template <class T, class Operation>
void combine_as(std::vector<std::byte const*> const& parts, std::byte* out, Size elements) {
  alignas(64) T total[kBlock];
  for (Size begin = 0; begin < elements; begin += kBlock) {
    Size const n = std::min(kBlock, elements - begin);
    auto const bytes = static_cast<std::size_t>(n) * sizeof(T);
    auto const at = static_cast<std::size_t>(begin) * sizeof(T);
    std::memcpy(total, parts[0] + at, bytes);
    for (std::size_t i = 1; i < parts.size(); ++i) {
      add_to<T, Operation>(total, reinterpret_cast<T const*>(parts[i] + at), n);
    }
    std::memcpy(out + at, total, bytes);
  }
}

template <class T>
void combine_by(std::vector<std::byte const*> const& parts, std::byte* out, Size elements,
                Reduce operation) {
  switch (operation) {
    case Reduce::sum:
      return combine_as<T, Sum>(parts, out, elements);
    case Reduce::max:
      return combine_as<T, Max>(parts, out, elements);
    case Reduce::min:
      return combine_as<T, Min>(parts, out, elements);
  }
}

}  // namespace

bool combines(DType dtype) {
  return dtype == DType::f32 || dtype == DType::f64 || dtype == DType::i32 || dtype == DType::i64;
}

void combine(std::vector<std::byte const*> const& parts, std::byte* out, Size elements, DType dtype,
             Reduce operation) {
  switch (dtype) {
    case DType::f32:
      return combine_by<float>(parts, out, elements, operation);
    case DType::f64:
      return combine_by<double>(parts, out, elements, operation);
    case DType::i32:
      return combine_by<std::int32_t>(parts, out, elements, operation);
    case DType::i64:
      return combine_by<std::int64_t>(parts, out, elements, operation);
    case DType::u8:
    case DType::bf16:
      return;  // refused by the front end
  }
}

}  // namespace dsr::detail
