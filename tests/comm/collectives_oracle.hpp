// SPDX-License-Identifier: Apache-2.0
#pragma once
/// What collectives must give, computed on each rank from all ranks' inputs. Inputs are a function
/// of (rank, index), so no rank has to be asked for what it had.
#include <algorithm>
#include <cstring>
#include <type_traits>
#include <vector>

#include "dsr/comm/collectives.hpp"

namespace dsr::test {

// 1 element, odd ones, both sides of the one-round limit of all_reduce, several pieces of the
// staging area.
inline constexpr Size kSizes[] = {1, 7, 255, 1031, 70001, 150001};

template <class T>
T input(int rank, Size i) {
  auto const mixed = static_cast<std::uint32_t>(i * 2654435761 + rank * 40503 + 17) % 100003;
  if constexpr (std::is_integral_v<T>) return static_cast<T>(mixed) - 50000;
  // Thirds, so that sums round and their order shows.
  else
    return (static_cast<T>(mixed) - T(50000)) / T(3);
}

template <class T>
std::vector<T> inputs(int rank, Size n) {
  std::vector<T> x(static_cast<std::size_t>(n));
  for (Size i = 0; i < n; ++i) x[static_cast<std::size_t>(i)] = input<T>(rank, i);
  return x;
}

/// The reduction of what all ranks have at i, in rank order.
template <class T>
T reduced(Size i, int ranks, Reduce operation) {
  T total = input<T>(0, i);
  for (int rank = 1; rank < ranks; ++rank) {
    T const value = input<T>(rank, i);
    if (operation == Reduce::sum) total = static_cast<T>(total + value);
    if (operation == Reduce::max) total = std::max(total, value);
    if (operation == Reduce::min) total = std::min(total, value);
  }
  return total;
}

template <class T>
std::vector<T> reduced_range(Size begin, Size n, int ranks, Reduce operation) {
  std::vector<T> x(static_cast<std::size_t>(n));
  for (Size i = 0; i < n; ++i)
    x[static_cast<std::size_t>(i)] = reduced<T>(begin + i, ranks, operation);
  return x;
}

/// Equal bits, not merely equal values.
template <class T>
bool same_bits(std::vector<T> const& a, std::vector<T> const& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

}  // namespace dsr::test
