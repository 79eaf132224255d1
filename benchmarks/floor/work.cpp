// SPDX-License-Identifier: Apache-2.0
#include "benchmarks/floor/work.hpp"

namespace benchmark {

using dsr::DType;
using dsr::Size;
using dsr::Transpose;

namespace {

/// y [T, out] = x [T, in]·wᵀ and its two gradients.
void add_linear(std::vector<Product>& to, std::string const& name, Size tokens, Size in, Size out,
                Size calls, After after, After after_dx = After::nothing) {
  to.push_back({name, tokens, out, in, {.b = Transpose::yes}, DType::bf16, calls, after});
  to.push_back({name + " dx", tokens, in, out, {}, DType::bf16, calls, after_dx});
  to.push_back(
      {name + " dw", out, in, tokens, {.a = Transpose::yes, .beta = 1}, DType::f32, calls,
       After::nothing});
}

double parameters(dsr::GptConfig const& c) {
  auto const h = static_cast<double>(c.hidden), f = static_cast<double>(c.inner());
  double const block = 4 * h * h + 2 * h * f + 9 * h + f;
  return static_cast<double>(c.layers) * block +
         h * static_cast<double>(c.vocabulary + c.sequence + 2);
}

}  // namespace

std::vector<Product> products(Job const& job, Size head_chunk) {
  dsr::GptConfig const c = job.config();
  Size const tokens = job.micro_tokens(), calls = job.accumulation * c.layers;
  std::vector<Product> all;
  add_linear(all, "qkv", tokens, c.hidden, 3 * c.hidden, calls, After::bias);
  add_linear(all, "attention out", tokens, c.hidden, c.hidden, calls, After::bias);
  add_linear(all, "ffn up", tokens, c.hidden, c.inner(), calls, After::gelu);
  add_linear(all, "ffn down", tokens, c.inner(), c.hidden, calls, After::bias, After::gelu_backward);
  Size const chunk = std::min(head_chunk, tokens);
  add_linear(all, "head", chunk, c.hidden, c.vocabulary,
             job.accumulation * dsr::ceil_div(tokens, chunk), After::nothing);
  return all;
}

std::vector<Traffic> traffic(Job const& job) {
  dsr::GptConfig const c = job.config();
  auto const tokens = static_cast<double>(job.micro_tokens() * job.accumulation);
  auto const layers = static_cast<double>(c.layers), h = static_cast<double>(c.hidden);
  auto const f = static_cast<double>(c.inner()), v = static_cast<double>(c.vocabulary);
  double const norms = (2 * layers + 1) * tokens * h;
  // Bytes of an element: bf16 2, f32 4.
  return {{"residual + norm", norms * 8},     // reads sum and branch, writes sum and y
          {"norm backward", norms * 8},       // reads dy, x, the residual's gradient; writes dx
          // GELU and its backward are with the products. Of the biases' gradients those of the
          // residual layout could come from the norms' passes.
          {"qkv and up bias gradients", layers * tokens * (3 * h + f) * 2},
          {"embedding", tokens * h * (6 + 10)},  // 2 rows in, 1 out; dx in, a row of f32 in and out
          {"classifier", tokens * v * 4},        // reads logits, writes their gradient
          {"gradient norm", parameters(c) * 4},
          // Reads gradient, m, v, master; writes m, v, master, bf16 value, and zeros the gradient.
          {"adamw", parameters(c) * (16 + 12 + 2 + 4)}};
}

}  // namespace benchmark
