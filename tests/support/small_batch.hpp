// SPDX-License-Identifier: Apache-2.0
#pragma once
/// A micro-batch of random tokens, for tests that need no loader: the same on every rank.
#include <algorithm>
#include <cstdint>
#include <random>
#include <vector>

#include "dsr/core/batch.hpp"
#include "dsr/mesh/mesh.hpp"

namespace dsr::test {

class SmallBatch {
 public:
  /// A fifth of the targets is ignored; T is padded for the mesh.
  SmallBatch(Mesh const& mesh, Size sequences, Size sequence_tokens, Size vocabulary,
             unsigned seed = 7) {
    Size const real = sequences * sequence_tokens;
    Size const padded = round_up(real, mesh.size(Axis::row));
    std::mt19937 engine{seed};
    auto const draw = [&] {
      return static_cast<std::int32_t>(engine() % static_cast<unsigned>(vocabulary));
    };
    tokens_.assign(static_cast<std::size_t>(padded), -1);
    targets_ = tokens_;
    positions_.assign(static_cast<std::size_t>(padded), 0);
    ordinals_ = positions_;
    for (Size t = 0; t < real; ++t) {
      auto const i = static_cast<std::size_t>(t);
      tokens_[i] = draw();
      targets_[i] = engine() % 5 == 0 ? -1 : draw();
      positions_[i] = static_cast<std::int32_t>(t % sequence_tokens);
      ordinals_[i] = static_cast<std::int32_t>(t / sequence_tokens);
    }
    for (Size b = 0; b <= sequences; ++b)
      starts_.push_back(static_cast<std::int32_t>(b * sequence_tokens));
  }

  Batch batch() {
    return {.tokens = view(tokens_),
            .targets = view(targets_),
            .positions = view(positions_),
            .ordinals = view(ordinals_),
            .sequence_starts = view(starts_),
            .counted =
                static_cast<Size>(std::ranges::count_if(targets_, [](auto t) { return t >= 0; }))};
  }

 private:
  static Tensor view(std::vector<std::int32_t>& v) {
    return {v.data(), {std::ssize(v)}, DType::i32, kCpu};
  }
  std::vector<std::int32_t> tokens_, targets_, positions_, ordinals_, starts_;
};

}  // namespace dsr::test
