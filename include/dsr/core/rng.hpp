// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Counter-based random numbers (Philox 4×32-10): a value depends on (key, counter) and on nothing
/// else, so the same element gets the same bits on every mesh, rank, thread and device.
///
///     RandomKey key = random_key(seed, RandomPurpose::dropout, site, step);
///     std::array<std::uint32_t, 4> bits = random_bits(key, {ordinal, position, feature / 4});
#include <array>
#include <cstdint>
#include <string_view>

namespace dsr {

enum class RandomPurpose : std::uint32_t { initial_values, dropout, data_order, sampling, user };

/// 64 bits that name a stream of random numbers.
struct RandomKey {
  std::uint32_t low = 0, high = 0;
  bool operator==(RandomKey const&) const = default;
};

/// Mixes seed, purpose, site (a layer and a place in it, or a name's hash) and step into a key.
RandomKey random_key(std::uint64_t seed, RandomPurpose purpose, std::uint64_t site,
                     std::uint64_t step);

/// 64-bit FNV-1a of a name, for use as a site.
std::uint64_t random_site(std::string_view name);

/// Four independent 32-bit values for a counter of up to four words.
std::array<std::uint32_t, 4> random_bits(RandomKey key, std::array<std::uint32_t, 4> counter);

/// Uniform in [0, 1), with 24 bits.
constexpr float uniform(std::uint32_t bits) { return static_cast<float>(bits >> 8) * 0x1p-24F; }

/// Standard normal value number `index` of a key, by Box and Muller in f64.
double normal(RandomKey key, std::uint64_t index);

}  // namespace dsr
