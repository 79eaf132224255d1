// SPDX-License-Identifier: Apache-2.0
#pragma once
/// The parameters of a GPT-2, as dsr stores them and as Hugging Face does.
///
///     for (Gpt2Pair const& pair : gpt2_pairs(sizes)) values = to_theirs(pair, read(pair.ours));
#include <span>
#include <string>
#include <vector>

#include "dsr/checkpoint/gpt2.hpp"
#include "dsr/core/shape.hpp"

namespace dsr::detail {

/// What becomes of our values [O, I]: nothing; [I, O]; or [I, O] with the outputs, ours [N, 3, D],
/// in their order [3, N, D].
enum class Rearrange : std::uint8_t { none, transpose, by_head };

enum class Presence : std::uint8_t { required, may_be_zero };

struct Gpt2Pair {
  std::string ours;    ///< "model/blocks/0/ffn/up/weight"
  std::string theirs;  ///< "h.0.mlp.c_fc.weight", without the prefix "transformer."
  Shape our_shape, their_shape;
  Rearrange rearrange = Rearrange::none;
  Presence presence = Presence::required;  ///< biases may be absent from ours: they are zero
};

/// In the order of forward. Throws InvalidArgument unless hidden is a multiple of heads.
std::vector<Gpt2Pair> gpt2_pairs(Gpt2Sizes const& sizes);

std::vector<float> to_theirs(Gpt2Pair const& pair, std::vector<float> ours);
std::vector<float> to_ours(Gpt2Pair const& pair, std::vector<float> theirs);

/// "transformer.h.0.…": what a model with a head calls them; the head itself is outside.
std::string full_name(Gpt2Pair const& pair);

}  // namespace dsr::detail
