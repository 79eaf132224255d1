// SPDX-License-Identifier: Apache-2.0
#include "dsr/core/rng.hpp"

#include <cmath>
#include <set>
#include <utility>
#include <vector>

#include "support/catch.hpp"

using namespace dsr;
using Words = std::array<std::uint32_t, 4>;

namespace {
bool near(double found, double expected, double margin) {
  return std::abs(found - expected) <= margin;
}
}  // namespace

TEST_CASE("Philox 4x32-10 gives the known answers of Random123") {
  CHECK(random_bits({0, 0}, {0, 0, 0, 0}) == Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  std::uint32_t const ones = 0xffffffff;
  CHECK(random_bits({ones, ones}, {ones, ones, ones, ones}) ==
        Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(random_bits({0xa4093822, 0x299f31d0}, {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}) ==
        Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("a site is the 64-bit FNV-1a of the name") {
  CHECK(random_site("") == 0xcbf29ce484222325U);
  CHECK(random_site("a") == 0xaf63dc4c8601ec8cU);
  CHECK(random_site("foobar") == 0x85944171f73967e8U);
}

TEST_CASE("keys differ when any input differs in any bit") {
  std::set<std::uint64_t> keys;
  auto add = [&](std::uint64_t seed, RandomPurpose purpose, std::uint64_t site,
                 std::uint64_t step) {
    RandomKey const key = random_key(seed, purpose, site, step);
    keys.insert(std::uint64_t{key.high} << 32 | key.low);
  };
  auto const dropout = RandomPurpose::dropout;
  add(0, dropout, 0, 0);
  add(0, RandomPurpose::initial_values, 0, 0);
  for (int bit = 0; bit < 64; ++bit) {
    std::uint64_t const word = std::uint64_t{1} << bit;
    add(word, dropout, 0, 0);
    add(0, dropout, word, 0);
    add(0, dropout, 0, word);
  }
  CHECK(keys.size() == 2 + 3 * 64);
  CHECK(random_key(1, dropout, 2, 3) == random_key(1, dropout, 2, 3));
}

TEST_CASE("neighbouring steps change about half of a key's bits") {
  int changed = 0;
  for (std::uint64_t step = 0; step < 1000; ++step) {
    RandomKey const a = random_key(1, RandomPurpose::dropout, 2, step);
    RandomKey const b = random_key(1, RandomPurpose::dropout, 2, step + 1);
    changed += __builtin_popcount(a.low ^ b.low) + __builtin_popcount(a.high ^ b.high);
  }
  CHECK(near(changed / 1000.0, 32, 1));  // 8 standard deviations
}

TEST_CASE("uniform values are in [0, 1)") {
  CHECK(uniform(0) == 0);
  CHECK(uniform(0xffffffffU) < 1);
  CHECK(uniform(0x80000000U) == 0.5F);
}

TEST_CASE("normal values have the moments and tails of a standard normal") {
  RandomKey const key = random_key(7, RandomPurpose::initial_values, random_site("weight"), 0);
  int const count = 400'000;
  std::array<double, 5> moments{};
  int beyond_1 = 0, beyond_2 = 0, beyond_3 = 0;
  double product = 0, last = 0;
  for (int i = 0; i < count; ++i) {
    double const x = normal(key, static_cast<std::uint64_t>(i));
    REQUIRE(std::isfinite(x));
    double power = 1;
    for (double& moment : moments) moment += std::exchange(power, power * x) / count;
    beyond_1 += std::abs(x) > 1;
    beyond_2 += std::abs(x) > 2;
    beyond_3 += std::abs(x) > 3;
    product += x * std::exchange(last, x) / count;
  }
  // Margins are five standard deviations of each estimate: sqrt(variance of x^k / count).
  double const unit = 5 / std::sqrt(count);
  CHECK(near(moments[1], 0, unit));
  CHECK(near(moments[2], 1, unit * std::sqrt(2.0)));
  CHECK(near(moments[3], 0, unit * std::sqrt(15.0)));
  CHECK(near(moments[4], 3, unit * std::sqrt(96.0)));
  CHECK(near(product, 0, unit));
  auto share_is = [&](int beyond, double p) {
    return near(double(beyond) / count, p, unit * std::sqrt(p * (1 - p)));
  };
  CHECK(share_is(beyond_1, 0.31731050786));
  CHECK(share_is(beyond_2, 0.04550026390));
  CHECK(share_is(beyond_3, 0.00269979606));
}

TEST_CASE("a value depends on key and index, not on the order of drawing") {
  RandomKey const key = random_key(7, RandomPurpose::initial_values, 1, 0);
  std::vector<double> forward, backward;
  for (std::uint64_t i = 0; i < 100; ++i) forward.push_back(normal(key, i << 30));
  for (std::uint64_t i = 100; i-- > 0;) backward.insert(backward.begin(), normal(key, i << 30));
  CHECK(forward == backward);
  CHECK(std::set<double>(forward.begin(), forward.end()).size() == 100);
}
