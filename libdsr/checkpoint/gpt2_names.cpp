// SPDX-License-Identifier: Apache-2.0
#include "libdsr/checkpoint/gpt2_names.hpp"

#include <algorithm>

#include "dsr/core/error.hpp"

namespace dsr::detail {
namespace {

/// The places of a matrix's elements in both forms, visited in tiles so that neither is read or
/// written across many pages at a time. `visit` gets (our place, their place).
template <class Visit>
void rearrange(Gpt2Pair const& pair, Visit const& visit) {
  constexpr Size kTile = 32;
  bool const by_head = pair.rearrange == Rearrange::by_head;
  Shape const& shape = pair.our_shape;
  Size const outputs = pair.their_shape[-1], inputs = pair.our_shape.elements() / outputs;
  Size const heads = shape[0], parts = by_head ? shape[1] : 1, size = by_head ? shape[2] : 1;
  auto const their_output = [&](Size output) {
    if (!by_head) return output;
    Size const head = output / (parts * size), part = output / size % parts;
    return (part * heads + head) * size + output % size;
  };
  for (Size tile = 0; tile < outputs; tile += kTile) {
    for (Size i0 = 0; i0 < inputs; i0 += kTile) {
      for (Size o = tile; o < std::min(outputs, tile + kTile); ++o) {
        Size const to = their_output(o);
        for (Size i = i0; i < std::min(inputs, i0 + kTile); ++i)
          visit(static_cast<std::size_t>(o * inputs + i),
                static_cast<std::size_t>(i * outputs + to));
      }
    }
  }
}

/// Collects the pairs of one model.
class Pairs {
 public:
  explicit Pairs(Gpt2Sizes const& sizes) : sizes_(sizes) {}

  void table(std::string const& ours, std::string const& theirs, Size rows) {
    Shape const shape{rows, sizes_.hidden};
    found_.push_back({"model/" + ours + "/weight", theirs + ".weight", shape, shape});
  }
  void norm(std::string const& ours, std::string const& theirs) {
    Shape const shape{sizes_.hidden};
    found_.push_back({"model/" + ours + "/gamma", theirs + ".weight", shape, shape});
    found_.push_back({"model/" + ours + "/beta", theirs + ".bias", shape, shape, Rearrange::none,
                      Presence::may_be_zero});
  }
  /// `outputs`: as we keep them.
  void linear(std::string const& ours, std::string const& theirs, Shape const& outputs,
              Size inputs) {
    bool const by_head = outputs.rank() > 1;
    std::vector<Size> sizes(outputs.begin(), outputs.end());
    sizes.push_back(inputs);
    Size const all = outputs.elements();
    found_.push_back({"model/" + ours + "/weight",
                      theirs + ".weight",
                      Shape{std::span<Size const>{sizes}},
                      {inputs, all},
                      by_head ? Rearrange::by_head : Rearrange::transpose});
    found_.push_back({"model/" + ours + "/bias",
                      theirs + ".bias",
                      outputs,
                      {all},
                      by_head ? Rearrange::by_head : Rearrange::none,
                      Presence::may_be_zero});
  }
  void block(Size number) {
    std::string const ours = "blocks/" + std::to_string(number) + "/";
    std::string const theirs = "h." + std::to_string(number) + ".";
    Size const hidden = sizes_.hidden;
    norm(ours + "norm1", theirs + "ln_1");
    linear(ours + "attention/qkv", theirs + "attn.c_attn", {sizes_.heads, 3, hidden / sizes_.heads},
           hidden);
    linear(ours + "attention/output", theirs + "attn.c_proj", {hidden}, hidden);
    norm(ours + "norm2", theirs + "ln_2");
    linear(ours + "ffn/up", theirs + "mlp.c_fc", {sizes_.inner}, hidden);
    linear(ours + "ffn/down", theirs + "mlp.c_proj", {hidden}, sizes_.inner);
  }
  std::vector<Gpt2Pair> take() { return std::move(found_); }

 private:
  Gpt2Sizes sizes_;
  std::vector<Gpt2Pair> found_;
};

}  // namespace

std::vector<Gpt2Pair> gpt2_pairs(Gpt2Sizes const& sizes) {
  // Products of two sizes, and three times that, must not overflow.
  constexpr Size kMost = Size{1} << 30;
  for (Size const size : {sizes.layers, sizes.hidden, sizes.heads, sizes.inner / 4,
                          sizes.vocabulary, sizes.positions}) {
    if (size > kMost)
      throw InvalidArgument(
          problem("a size of GPT-2", std::to_string(size), "at most " + std::to_string(kMost)));
  }
  if (sizes.heads < 1 || sizes.hidden % sizes.heads != 0) {
    throw InvalidArgument(
        problem("n_embd % n_head",
                std::to_string(sizes.hidden) + " % " + std::to_string(sizes.heads), "0"));
  }
  Pairs pairs{sizes};
  pairs.table("embedding/tokens", "wte", sizes.vocabulary);
  pairs.table("embedding/positions", "wpe", sizes.positions);
  for (Size number = 0; number < sizes.layers; ++number) pairs.block(number);
  pairs.norm("norm", "ln_f");
  if (sizes.head == Gpt2Sizes::Head::own) pairs.table("head", "lm_head", sizes.vocabulary);
  return pairs.take();
}

std::vector<float> to_theirs(Gpt2Pair const& pair, std::vector<float> ours) {
  if (pair.rearrange == Rearrange::none) return ours;
  std::vector<float> theirs(ours.size());
  rearrange(pair, [&](std::size_t our, std::size_t their) { theirs[their] = ours[our]; });
  return theirs;
}

std::vector<float> to_ours(Gpt2Pair const& pair, std::vector<float> theirs) {
  if (pair.rearrange == Rearrange::none) return theirs;
  std::vector<float> ours(theirs.size());
  rearrange(pair, [&](std::size_t our, std::size_t their) { ours[our] = theirs[their]; });
  return ours;
}

std::string full_name(Gpt2Pair const& pair) {
  return (pair.theirs.starts_with("lm_head") ? "" : "transformer.") + pair.theirs;
}

}  // namespace dsr::detail
