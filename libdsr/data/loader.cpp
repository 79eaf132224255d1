// SPDX-License-Identifier: Apache-2.0
#include "dsr/data/loader.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "dsr/core/error.hpp"
#include "dsr/data/permutation.hpp"
#include "libdsr/data/cursor_text.hpp"

namespace dsr {
namespace {

constexpr Size kMaxTokens = std::numeric_limits<std::int32_t>::max();
constexpr Size kMaxEpoch = Size{1} << 40U;  // beyond any run; far from overflow

/// The views of a Batch of B sequences and T tokens in one buffer, each at an aligned address.
Batch lay_out(Buffer& buffer, Size sequences, Size tokens) {
  Size const token_bytes = round_up(tokens * size_of(DType::i32), kAlignment_bytes);
  Size const start_bytes = (sequences + 1) * size_of(DType::i32);
  buffer = Buffer{4 * token_bytes + start_bytes, kCpu};
  auto* const base = static_cast<std::byte*>(buffer.data());
  auto const view = [&](Size number, Size elements) {
    return Tensor{base + number * token_bytes, {elements}, DType::i32, kCpu};
  };
  return {.tokens = view(0, tokens),
          .targets = view(1, tokens),
          .positions = view(2, tokens),
          .ordinals = view(3, tokens),
          .sequence_starts = view(4, sequences + 1)};
}

void fill_rest(Tensor const& tensor, Size begin, std::int32_t value) {
  std::fill(tensor.data<std::int32_t>() + begin, tensor.data<std::int32_t>() + tensor.elements(),
            value);
}

}  // namespace

void LoaderOptions::validate() const {
  std::vector<std::string> lines;
  auto const require_positive = [&lines](std::string_view key, Size value) {
    if (value < 1) lines.push_back(problem(key, std::to_string(value), ">= 1"));
  };
  require_positive("train.batch", batch);
  require_positive("train.micro_batch", micro_batch);
  require_positive("model.sequence", sequence);
  if (vocabulary < 0) lines.push_back(problem("model.vocab", std::to_string(vocabulary), ">= 0"));
  if (batch > kMaxTokens) lines.push_back(problem("train.batch", std::to_string(batch), "< 2^31"));
  if (lines.empty() && micro_batch > kMaxTokens / (sequence + 1)) {
    lines.push_back(problem(
        "train.micro_batch",
        fmt::format("micro_batch·(sequence + 1) = {}·{}", micro_batch, sequence + 1), "< 2^31"));
  }
  if (!lines.empty()) throw InvalidArgument(fmt::format("{}", fmt::join(lines, "\n")));
}

Size LoaderOptions::accumulation(Size replicas) const {
  Size const unit = replicas * micro_batch;
  Size const rest = batch % unit;
  if (rest == 0) return batch / unit;
  std::string nearest = fmt::format("train.batch = {}", round_up(batch, unit));
  if (batch > unit)
    nearest = fmt::format("train.batch = {} or {}", batch - rest, round_up(batch, unit));
  if (batch % replicas == 0) {
    Size const each = batch / replicas;
    Size micro = std::min(micro_batch, each);
    while (each % micro != 0) --micro;
    nearest += fmt::format(", or train.micro_batch = {}", micro);
  }
  throw InvalidArgument(problem("train.batch",
                                fmt::format("batch % (dp·micro_batch) = {} % ({}·{}) = {}", batch,
                                            replicas, micro_batch, rest),
                                "0", nearest));
}

Loader::Loader(Tokens tokens, Mesh const& mesh, LoaderOptions options)
    : tokens_(std::move(tokens)),
      options_(options),
      replicas_(mesh.size(Axis::dp)),
      replica_(mesh.place_in(Axis::dp)) {
  options_.validate();
  accumulation_ = options_.accumulation(replicas_);
  require_sequence(*tokens_, options_.sequence);
  if (options_.vocabulary > 0) require_tokens_below(*tokens_, options_.vocabulary);
  sequences_ = (tokens_->size() - 1) / options_.sequence;
  window_.resize(static_cast<std::size_t>(options_.sequence + 1));

  Size const used = options_.micro_batch * options_.sequence;
  batch_ = lay_out(buffer_, options_.micro_batch, round_up(used, mesh.size(Axis::row)));
  batch_.counted = used;
  for (Size b = 0; b <= options_.micro_batch; ++b) {
    batch_.sequence_starts.data<std::int32_t>()[b] =
        static_cast<std::int32_t>(b * options_.sequence);
  }
  fill_rest(batch_.tokens, used, -1);
  fill_rest(batch_.targets, used, -1);
  fill_rest(batch_.positions, used, 0);
  fill_rest(batch_.ordinals, used, 0);
}

Size Loader::sequence_of(Size entry) const {
  Size const place = cursor_.index + entry;
  Size const within = place % sequences_;
  if (options_.order == DataOrder::sequential) return within;
  auto const epoch = static_cast<std::uint64_t>(cursor_.epoch + place / sequences_);
  RandomKey const key =
      random_key(options_.seed, RandomPurpose::data_order, random_site("data/sequences"), epoch);
  return Permutation{sequences_, key}(within);
}

void Loader::fill(Size row, Size ordinal) {
  Size const length = options_.sequence, first = row * length;
  tokens_->read(sequence_of(ordinal) * length, window_);
  std::copy_n(window_.begin(), length, batch_.tokens.data<std::int32_t>() + first);
  std::copy_n(window_.begin() + 1, length, batch_.targets.data<std::int32_t>() + first);
  std::int32_t* const positions = batch_.positions.data<std::int32_t>() + first;
  for (Size s = 0; s < length; ++s) positions[s] = static_cast<std::int32_t>(s);
  std::fill_n(batch_.ordinals.data<std::int32_t>() + first, length,
              static_cast<std::int32_t>(ordinal));
}

Batch const& Loader::next(Size micro) {
  if (micro < 0 || micro >= accumulation_) {
    throw InvalidArgument(problem("loader: micro-batch", std::to_string(micro),
                                  "0 to " + std::to_string(accumulation_ - 1)));
  }
  Size const first = (micro * replicas_ + replica_) * options_.micro_batch;
  for (Size b = 0; b < options_.micro_batch; ++b) fill(b, first + b);
  return batch_;
}

void Loader::advance() {
  Size const place = cursor_.index + options_.batch;
  cursor_ = {cursor_.epoch + place / sequences_, place % sequences_};
}

std::string Loader::save() const {
  return detail::to_text({cursor_, sequences_, options_.sequence, options_.seed, options_.order});
}

void Loader::load(std::string const& text) {
  detail::SavedCursor const saved = detail::parse_cursor(text);
  auto const [epoch, index] = saved.cursor;
  if (epoch < 0 || epoch > kMaxEpoch || index < 0 || index >= saved.sequences) {
    throw CorruptData(problem("data cursor", "\"" + text + "\"",
                              "0 <= epoch <= 2^40 and 0 <= index < sequences"));
  }
  detail::SavedCursor const ours{saved.cursor, sequences_, options_.sequence, options_.seed,
                                 options_.order};
  if (saved != ours) {
    throw InvalidArgument(problem("data cursor", "\"" + text + "\"",
                                  "one of this loader, \"" + detail::to_text(ours) + "\""));
  }
  cursor_ = saved.cursor;
}

}  // namespace dsr
