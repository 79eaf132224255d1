// SPDX-License-Identifier: Apache-2.0
#include "dsr/core/rng.hpp"

#include <cmath>
#include <numbers>

#include "kernels/common/philox.hpp"

namespace dsr {
namespace {

constexpr std::uint32_t low_word(std::uint64_t value) { return static_cast<std::uint32_t>(value); }
constexpr std::uint32_t high_word(std::uint64_t value) {
  return static_cast<std::uint32_t>(value >> 32);
}

/// 53 of 64 bits, as an integer that a double holds exactly.
double fraction_bits(std::uint32_t low, std::uint32_t high) {
  return static_cast<double>((std::uint64_t{high} << 32 | low) >> 11);
}

}  // namespace

RandomKey random_key(std::uint64_t seed, RandomPurpose purpose, std::uint64_t site,
                     std::uint64_t step) {
  // Two blocks in a chain: each input word passes through ten rounds, and no two inputs share a
  // word.
  kernels::PhiloxBlock const named =
      kernels::philox(low_word(seed), high_word(seed),
                      {{low_word(site), high_word(site), static_cast<std::uint32_t>(purpose), 0}});
  kernels::PhiloxBlock const mixed = kernels::philox(
      named.x[0], named.x[1], {{low_word(step), high_word(step), named.x[2], named.x[3]}});
  return {mixed.x[0], mixed.x[1]};
}

std::uint64_t random_site(std::string_view name) {
  std::uint64_t hash = 0xCBF29CE484222325U;
  for (char letter : name) {
    hash ^= static_cast<unsigned char>(letter);
    hash *= 0x100000001B3U;
  }
  return hash;
}

std::array<std::uint32_t, 4> random_bits(RandomKey key, std::array<std::uint32_t, 4> counter) {
  kernels::PhiloxBlock const block =
      kernels::philox(key.low, key.high, {{counter[0], counter[1], counter[2], counter[3]}});
  return {block.x[0], block.x[1], block.x[2], block.x[3]};
}

double normal(RandomKey key, std::uint64_t index) {
  auto const bits = random_bits(key, {low_word(index), high_word(index), 0, 0});
  // The first is in (0, 1], so that its logarithm is finite; the second in [0, 1).
  double const radius_uniform = (fraction_bits(bits[0], bits[1]) + 1) * 0x1p-53;
  double const angle_uniform = fraction_bits(bits[2], bits[3]) * 0x1p-53;
  return std::sqrt(-2 * std::log(radius_uniform)) * std::cos(2 * std::numbers::pi * angle_uniform);
}

}  // namespace dsr
