// SPDX-License-Identifier: Apache-2.0
#include "dsr/data/permutation.hpp"

#include <string>

#include "dsr/core/error.hpp"

namespace dsr {
namespace {

// Luby and Rackoff need four rounds for large domains; small domains need more to look random (see
// the test).
constexpr std::uint32_t kRounds = 8;
constexpr Size kMaxSize = Size{1} << 62U;

}  // namespace

Permutation::Permutation(Size n, RandomKey key) : n_(n), key_(key) {
  if (n < 1 || n > kMaxSize) {
    throw InvalidArgument(problem("permutation: size", std::to_string(n), "1 to 2^62"));
  }
  while ((Size{1} << (2 * half_bits_)) < n) ++half_bits_;
}

std::uint64_t Permutation::encrypt(std::uint64_t value) const {
  auto const mask = static_cast<std::uint32_t>((std::uint64_t{1} << half_bits_) - 1);
  auto left = static_cast<std::uint32_t>(value >> half_bits_);
  std::uint32_t right = static_cast<std::uint32_t>(value) & mask;
  for (std::uint32_t round = 0; round < kRounds; ++round) {
    std::uint32_t const mixed = (left ^ random_bits(key_, {right, round, 0, 0})[0]) & mask;
    left = right;
    right = mixed;
  }
  return std::uint64_t{left} << half_bits_ | right;
}

Size Permutation::operator()(Size i) const {
  if (i < 0 || i >= n_) {
    throw InvalidArgument(
        problem("permutation: index", std::to_string(i), "0 to " + std::to_string(n_ - 1)));
  }
  auto const n = static_cast<std::uint64_t>(n_);
  // The walk ends: the network is a bijection, so the cycle through i comes back to i, which is
  // inside.
  std::uint64_t value = encrypt(static_cast<std::uint64_t>(i));
  while (value >= n) value = encrypt(value);
  return static_cast<Size>(value);
}

}  // namespace dsr
