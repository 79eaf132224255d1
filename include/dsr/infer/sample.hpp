// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Sampling: continues a prompt token by token, on any mesh.
///
///     std::vector<std::int32_t> tokens = sample(model, pass, {10}, {.tokens = 200, .seed = 1});
///
/// Every token is a whole forward pass over at most `sequence` tokens: no key-value cache yet.
#include <cstdint>
#include <vector>

#include "dsr/model/gpt.hpp"
#include "dsr/nn/pass.hpp"

namespace dsr {

struct SampleOptions {
  Size tokens = 100;         ///< to generate
  double temperature = 0.8;  ///< 0: always the likeliest token
  std::uint64_t seed = 1;
  /// Throws InvalidArgument if tokens < 1 or temperature < 0.
  void validate() const;
};

/// The generated tokens, without the prompt; the same on every rank of a replica, and on every mesh
/// up to rounding.
///
/// Needs       a pass whose arenas hold one sequence of the model in Mode::evaluate
/// Collective  over the replica's ranks; prompt and options must be the same on all of them
/// Throws      InvalidArgument if the prompt is empty or holds a token outside the vocabulary
std::vector<std::int32_t> sample(Gpt& model, Pass& pass, std::vector<std::int32_t> prompt,
                                 SampleOptions const& options);

}  // namespace dsr
