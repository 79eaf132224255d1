// SPDX-License-Identifier: Apache-2.0
#include "dsr/infer/sample.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <type_traits>
#include <utility>

#include "dsr/core/bf16.hpp"
#include "dsr/core/error.hpp"
#include "dsr/core/transfer.hpp"

namespace dsr {

namespace {

/// The last `sequence` tokens as a batch of one sequence, padded to a multiple of the mesh's row
/// size.
class Window {
 public:
  Window(Mesh const& mesh, Size sequence)
      : padded_(round_up(sequence, mesh.size(Axis::row))),
        memory_(static_cast<std::size_t>(4 * padded_ + 2)) {}

  /// Returns the number of tokens in the window.
  Size fill(std::vector<std::int32_t> const& tokens, Size sequence) {
    auto const count = std::min<Size>(std::ssize(tokens), sequence);
    std::ranges::fill(memory_, 0);
    std::fill_n(memory_.begin(), 2 * padded_, -1);  // tokens and targets
    std::copy(tokens.end() - count, tokens.end(), memory_.begin());
    for (Size i = 0; i < count; ++i)
      memory_[static_cast<std::size_t>(2 * padded_ + i)] = static_cast<std::int32_t>(i);
    memory_.back() = static_cast<std::int32_t>(count);
    return count;
  }

  Batch batch() {
    auto const view = [&](Size begin, Size n) {
      return Tensor{memory_.data() + begin, {n}, DType::i32, kCpu};
    };
    return {.tokens = view(0, padded_),
            .targets = view(padded_, padded_),
            .positions = view(2 * padded_, padded_),
            .ordinals = view(3 * padded_, padded_),
            .sequence_starts = view(4 * padded_, 2),
            .counted = 0};
  }

 private:
  Size padded_;
  std::vector<std::int32_t> memory_;
};

/// Index drawn from softmax(logits / temperature) with one uniform number in [0, 1).
std::int32_t draw(std::vector<double> const& logits, double temperature, double uniform_number) {
  auto const top = std::ranges::max_element(logits);
  if (temperature == 0) return static_cast<std::int32_t>(top - logits.begin());
  std::vector<double> cumulative;
  double sum = 0;
  for (double logit : logits) cumulative.push_back(sum += std::exp((logit - *top) / temperature));
  auto const found = std::ranges::upper_bound(cumulative, uniform_number * sum);
  return static_cast<std::int32_t>(std::min(found - cumulative.begin(), std::ssize(logits) - 1));
}

/// The logits of one token, on the pass's device and, as doubles, on the host.
class Logits {
 public:
  Logits(Pass& pass, Size vocabulary)
      : shape_{vocabulary},
        dtype_(pass.dtype()),
        device_(vocabulary * size_of(dtype_), pass.stream().device()),
        host_(Buffer::pinned(device_.bytes())),
        values_(static_cast<std::size_t>(vocabulary)) {}

  Tensor tensor() { return {device_.data(), shape_, dtype_, device_.device()}; }

  std::vector<double> const& fetch(Stream& stream) {
    Tensor const host{host_.data(), shape_, dtype_, kCpu};
    transfer(tensor(), host, stream);
    stream.synchronize();
    if (dtype_ == DType::bf16)
      widen(host.data<Bf16>());
    else if (dtype_ == DType::f64)
      widen(host.data<double>());
    else
      widen(host.data<float>());
    return values_;
  }

 private:
  template <class T>
  void widen(T const* from) {
    using Wide = std::conditional_t<std::is_same_v<T, Bf16>, float, T>;
    for (std::size_t i = 0; i < values_.size(); ++i) values_[i] = static_cast<Wide>(from[i]);
  }

  Shape shape_;
  DType dtype_;
  Buffer device_, host_;
  std::vector<double> values_;
};

}  // namespace

void SampleOptions::validate() const {
  if (tokens < 1)
    throw InvalidArgument(problem("sample", std::to_string(tokens) + " tokens", "at least 1"));
  if (!(temperature >= 0)) {
    throw InvalidArgument(
        problem("sample", "temperature " + std::to_string(temperature), "at least 0"));
  }
}

std::vector<std::int32_t> sample(Gpt& model, Pass& pass, std::vector<std::int32_t> prompt,
                                 SampleOptions const& options) {
  options.validate();
  if (prompt.empty())
    throw InvalidArgument(problem("sample", "an empty prompt", "at least one token"));
  for (std::int32_t token : prompt) {
    if (token < 0 || token >= model.config().vocabulary) {
      throw InvalidArgument(problem("sample", "token " + std::to_string(token) + " in the prompt",
                                    "0 to " + std::to_string(model.config().vocabulary - 1)));
    }
  }
  auto tokens = std::move(prompt);
  Size const first = std::ssize(tokens), sequence = model.config().sequence;
  Logits logits{pass, model.config().vocabulary};
  RandomKey const key = random_key(options.seed, RandomPurpose::sampling, 0, 0);
  Window window{pass.mesh(), sequence};
  for (Size i = 0; i < options.tokens; ++i) {
    Size const count = window.fill(tokens, sequence);
    pass.begin(window.batch(), Mode::evaluate, 0);
    model.logits(pass, count - 1, logits.tensor());
    auto const bits = random_bits(key, {static_cast<std::uint32_t>(i), 0, 0, 0});
    tokens.push_back(draw(logits.fetch(pass.stream()), options.temperature, uniform(bits[0])));
  }
  return {tokens.begin() + first, tokens.end()};
}

}  // namespace dsr
