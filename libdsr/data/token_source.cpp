// SPDX-License-Identifier: Apache-2.0
#include "dsr/data/token_source.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "dsr/core/error.hpp"
#include "dsr/core/text.hpp"

namespace dsr {
namespace {

class MemoryTokens final : public TokenSource {
 public:
  MemoryTokens(std::vector<std::int32_t> tokens, Size vocabulary, std::string name)
      : tokens_(std::move(tokens)), vocabulary_(vocabulary), name_(std::move(name)) {}

  Size size() const override { return static_cast<Size>(tokens_.size()); }
  Size vocabulary() const override { return vocabulary_; }
  std::string name() const override { return name_; }

 protected:
  void copy(Size begin, std::span<std::int32_t> out) const override {
    std::copy_n(tokens_.begin() + begin, out.size(), out.begin());
  }

 private:
  std::vector<std::int32_t> tokens_;
  Size vocabulary_;
  std::string name_;
};

class SlicedTokens final : public TokenSource {
 public:
  SlicedTokens(Tokens whole, Size begin, Size end)
      : whole_(std::move(whole)), begin_(begin), end_(end) {}

  Size size() const override { return end_ - begin_; }
  Size vocabulary() const override { return whole_->vocabulary(); }
  std::string name() const override {
    return whole_->name() + "[" + std::to_string(begin_) + ", " + std::to_string(end_) + ")";
  }

 protected:
  void copy(Size begin, std::span<std::int32_t> out) const override {
    whole_->read(begin_ + begin, out);
  }

 private:
  Tokens whole_;
  Size begin_, end_;
};

}  // namespace

void TokenSource::read(Size begin, std::span<std::int32_t> out) const {
  auto const count = static_cast<Size>(out.size());
  if (begin < 0 || begin > size() || count > size() - begin) {
    throw InvalidArgument(problem(name() + ": tokens read",
                                  std::to_string(begin) + " and " + std::to_string(count) + " more",
                                  "0 to " + std::to_string(size())));
  }
  if (count > 0) copy(begin, out);
}

TokenFormat parse_token_format(std::string_view name) {
  constexpr std::array<std::string_view, 3> kNames{"auto", "text", "nanogpt"};
  auto const found = std::find(kNames.begin(), kNames.end(), name);
  if (found == kNames.end()) {
    throw InvalidArgument(problem("data.format", "\"" + std::string{name} + "\"",
                                  "auto, text or nanogpt", nearest_name(name, kNames)));
  }
  return static_cast<TokenFormat>(found - kNames.begin());
}

Tokens memory_tokens(std::vector<std::int32_t> tokens, Size vocabulary, std::string name) {
  for (std::int32_t const token : tokens) {
    if (token < 0 || token >= vocabulary) {
      throw InvalidArgument(problem(name + ": token", std::to_string(token),
                                    "0 to " + std::to_string(vocabulary - 1)));
    }
  }
  return std::make_shared<MemoryTokens>(std::move(tokens), vocabulary, std::move(name));
}

Tokens slice(Tokens const& source, Size begin, Size end) {
  if (begin < 0 || begin > end || end > source->size()) {
    throw InvalidArgument(problem(source->name() + ": slice",
                                  std::to_string(begin) + " to " + std::to_string(end),
                                  "a range in 0 to " + std::to_string(source->size())));
  }
  return std::make_shared<SlicedTokens>(source, begin, end);
}

Split split_tokens(Tokens const& source, double validation) {
  if (!(validation >= 0 && validation < 1)) {
    throw InvalidArgument(problem("data.split", std::to_string(validation), ">= 0 and < 1"));
  }
  Size const size = source->size();
  auto const kept = static_cast<Size>(std::llround(static_cast<double>(size) * validation));
  return {slice(source, 0, size - kept), slice(source, size - kept, size)};
}

void require_tokens_below(TokenSource const& source, Size vocabulary) {
  if (source.vocabulary() <= vocabulary) return;
  std::vector<std::int32_t> chunk(1U << 15U);  // stays in the second-level cache
  auto const limit = static_cast<std::int32_t>(vocabulary);
  for (Size begin = 0; begin < source.size(); begin += static_cast<Size>(chunk.size())) {
    chunk.resize(
        static_cast<std::size_t>(std::min(static_cast<Size>(chunk.size()), source.size() - begin)));
    source.read(begin, chunk);
    // The largest first, which the compiler vectorises; the search only if there is something to
    // find.
    std::int32_t largest = 0;
    for (std::int32_t const token : chunk) largest = std::max(largest, token);
    if (largest < limit) continue;
    auto const bad =
        std::find_if(chunk.begin(), chunk.end(), [limit](auto token) { return token >= limit; });
    throw CorruptData(
        problem(source.name() + ": token " + std::to_string(begin + (bad - chunk.begin())),
                std::to_string(*bad), "0 to " + std::to_string(vocabulary - 1)));
  }
}

void require_sequence(TokenSource const& source, Size sequence) {
  if (source.size() > sequence) return;
  throw CorruptData(problem(source.name(), std::to_string(source.size()) + " tokens",
                            ">= " + std::to_string(sequence + 1) + " (sequence + 1)"));
}

}  // namespace dsr
