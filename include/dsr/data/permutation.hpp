// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Permutation: a random order of [0, n) that is computed, not stored.
///
///     Permutation order{n, random_key(seed, RandomPurpose::data_order, site, epoch)};
///     order(0), order(1), …                       // every number below n once
///
/// A Feistel network over the smallest domain of 4^k >= n, walked until it is inside n (fewer than
/// 4 steps on average). Source: Black and Rogaway 2002, "Ciphers with arbitrary finite domains",
/// method 2.
#include "dsr/core/rng.hpp"
#include "dsr/core/shape.hpp"

namespace dsr {

/// A value type; any number of threads may call it.
class Permutation {
 public:
  /// Throws InvalidArgument unless 1 <= n <= 2^62.
  Permutation(Size n, RandomKey key);

  Size size() const { return n_; }
  /// Where i goes. Throws InvalidArgument outside [0, n).
  Size operator()(Size i) const;

 private:
  std::uint64_t encrypt(std::uint64_t value) const;

  Size n_;
  RandomKey key_;
  unsigned half_bits_ = 1;
};

}  // namespace dsr
