// SPDX-License-Identifier: Apache-2.0
#include "dsr/data/permutation.hpp"

#include <vector>

#include "dsr/core/error.hpp"
#include "support/catch.hpp"

using namespace dsr;

namespace {

RandomKey key_of(std::uint64_t epoch, std::uint64_t seed = 7) {
  return random_key(seed, RandomPurpose::data_order, 1, epoch);
}

bool is_bijection(Permutation const& order) {
  std::vector<char> seen(static_cast<std::size_t>(order.size()), 0);
  for (Size i = 0; i < order.size(); ++i) {
    Size const to = order(i);
    if (to < 0 || to >= order.size() || seen[static_cast<std::size_t>(to)]++ != 0) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("every index is taken once") {
  for (Size n = 1; n <= 130; ++n) {
    INFO(n);
    for (std::uint64_t epoch = 0; epoch < 3; ++epoch) CHECK(is_bijection({n, key_of(epoch)}));
  }
  for (Size const n : {255, 256, 257, 1000, 4095, 4096, 4097, 65'537}) {
    INFO(n);
    CHECK(is_bijection({n, key_of(5)}));
  }
}

TEST_CASE("epochs and seeds have different orders, the same key the same") {
  constexpr Size kSize = 1000;
  auto const equal_places = [](RandomKey a, RandomKey b) {
    Permutation const first{kSize, a}, second{kSize, b};
    int equal = 0;
    for (Size i = 0; i < kSize; ++i) equal += first(i) == second(i) ? 1 : 0;
    return equal;
  };
  CHECK(equal_places(key_of(0), key_of(0)) == kSize);
  CHECK(equal_places(key_of(0), key_of(1)) < 12);  // expected: 1, by chance
  CHECK(equal_places(key_of(0, 7), key_of(0, 8)) < 12);
}

TEST_CASE("over many keys every index goes everywhere equally often") {
  // Chi-square over where index i lands: n - 1 degrees of freedom, 99.99 % of it below these
  // limits.
  struct Case {
    Size n;
    double limit;
  };
  constexpr int kKeys = 4000;
  for (auto const [n, limit] : {Case{3, 18.5}, Case{5, 23.6}, Case{16, 44.3}, Case{37, 76.0}}) {
    for (Size const i : {Size{0}, n / 2, n - 1}) {
      std::vector<double> counts(static_cast<std::size_t>(n), 0.0);
      for (std::uint64_t k = 0; k < kKeys; ++k)
        counts[static_cast<std::size_t>(Permutation{n, key_of(k)}(i))] += 1;
      double const expected = double{kKeys} / static_cast<double>(n);
      double chi_square = 0;
      for (double const count : counts)
        chi_square += (count - expected) * (count - expected) / expected;
      INFO("n " << n << " index " << i);
      CHECK(chi_square < limit);
    }
  }
}

TEST_CASE("sizes beyond 32 bits") {
  constexpr Size kHuge = Size{1} << 62U;
  Permutation const order{kHuge, key_of(0)};
  CHECK(order(0) != order(1));
  for (Size const i : {Size{0}, kHuge / 2, kHuge - 1}) CHECK((order(i) >= 0 && order(i) < kHuge));
}

TEST_CASE("what has no order is refused") {
  CHECK_THROWS_AS(Permutation(0, key_of(0)), InvalidArgument);
  CHECK_THROWS_AS(Permutation((Size{1} << 62U) + 1, key_of(0)), InvalidArgument);
  Permutation const order{10, key_of(0)};
  CHECK_THROWS_AS(order(-1), InvalidArgument);
  CHECK_THROWS_AS(order(10), InvalidArgument);
}
