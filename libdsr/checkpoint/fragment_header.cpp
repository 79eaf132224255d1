// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <bit>
#include <charconv>
#include <cstdint>

#include "dsr/checkpoint/fragment_file.hpp"
#include "dsr/checkpoint/manifest.hpp"
#include "dsr/core/error.hpp"

namespace dsr {
namespace {

constexpr std::string_view kFormat = "dsr-fragment-1";
constexpr std::size_t kSector = static_cast<std::size_t>(kFragmentSector_bytes);
constexpr std::size_t kHashDigits = 32, kMostText = 512;
constexpr Size kMost = Size{1} << 60U;  // of any count; far from overflow

bool is_hash(std::string_view text) {
  return text.size() == kHashDigits && std::ranges::all_of(text, [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

/// Printable, on one line, and without a space at its ends.
bool is_line(std::string_view text) {
  return !text.empty() && text.size() <= kMostText && text.front() != ' ' && text.back() != ' ' &&
         std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~'; });
}

/// The field that no header may have, or nothing.
std::string_view odd_field(FragmentHeader const& header) {
  auto const count = [](Size value) { return value >= 0 && value <= kMost; };
  if (!plain_name(header.run_id)) return "run";
  if (header.generation < 0 || header.generation > kMostGenerations) return "generation";
  if (!is_hash(header.base)) return "base";
  if (header.step < 0 || header.step > kMostSteps) return "step";
  if (!is_line(header.mesh)) return "mesh";
  if (header.rank < 0) return "rank";
  if (!is_hash(header.settings)) return "settings";
  if (!count(header.of) || header.micro_batches < 1 || header.micro_batches >= header.of)
    return "micro_batches";
  if (!count(header.tokens)) return "tokens";
  if (!is_line(header.cursor)) return "cursor";
  if (!count(header.bytes)) return "bytes";
  if (!is_hash(header.payload)) return "payload";
  return {};
}

void add(std::string& text, std::string_view key, std::string_view value) {
  text.append(key).append(" ").append(value).append("\n");
}

void add(std::string& text, std::string_view key, Size value) {
  add(text, key, std::to_string(value));
}

/// The lines of a header whose fields are all right.
std::string lines_of(FragmentHeader const& header) {
  std::string text;
  add(text, "format", kFormat);
  add(text, "run", header.run_id);
  add(text, "generation", header.generation);
  add(text, "base", header.base);
  add(text, "step", header.step);
  add(text, "mesh", header.mesh);
  add(text, "rank", header.rank);
  add(text, "settings", header.settings);
  add(text, "micro_batches", header.micro_batches);
  add(text, "of", header.of);
  add(text, "tokens", header.tokens);
  // The bits, since they must come back as they were.
  add(text, "loss", std::to_string(std::bit_cast<std::uint64_t>(header.loss)));
  add(text, "cursor", header.cursor);
  add(text, "bytes", header.bytes);
  add(text, "payload", header.payload);
  return text;
}

/// Takes "key value\n" off the front of a text; each call after a failed one fails too.
class Lines {
 public:
  explicit Lines(std::string_view text) : text_(text) {}

  std::string take(std::string_view key) {
    std::size_t const end = text_.find('\n');
    if (end == std::string_view::npos || !text_.starts_with(key) || end <= key.size() ||
        text_[key.size()] != ' ') {
      return fail();
    }
    std::string value{text_.substr(key.size() + 1, end - key.size() - 1)};
    text_.remove_prefix(end + 1);
    return value;
  }
  template <class T>
  T number(std::string_view key) {
    std::string const text = take(key);
    T value = 0;
    auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) fail();
    return value;
  }
  bool failed() const { return failed_; }

 private:
  std::string fail() {
    failed_ = true;
    text_ = {};
    return {};
  }
  std::string_view text_;
  bool failed_ = false;
};

}  // namespace

std::string to_text(FragmentHeader const& header) {
  if (std::string_view const odd = odd_field(header); !odd.empty()) {
    throw InvalidArgument(problem("gradient fragment", "another value of " + std::string(odd),
                                  "one that a header can hold"));
  }
  std::string text = lines_of(header);
  add(text, "hash", hash_text(std::as_bytes(std::span{text})));
  text.resize(kSector, '\0');
  return text;
}

std::optional<FragmentHeader> parse_fragment_header(std::string_view sector) {
  if (sector.size() != kSector) return std::nullopt;
  Lines lines{sector};
  FragmentHeader header;
  if (lines.take("format") != kFormat) return std::nullopt;
  header.run_id = lines.take("run");
  header.generation = lines.number<int>("generation");
  header.base = lines.take("base");
  header.step = lines.number<Size>("step");
  header.mesh = lines.take("mesh");
  header.rank = lines.number<int>("rank");
  header.settings = lines.take("settings");
  header.micro_batches = lines.number<Size>("micro_batches");
  header.of = lines.number<Size>("of");
  header.tokens = lines.number<Size>("tokens");
  header.loss = std::bit_cast<double>(lines.number<std::uint64_t>("loss"));
  header.cursor = lines.take("cursor");
  header.bytes = lines.number<Size>("bytes");
  header.payload = lines.take("payload");
  if (lines.failed() || !odd_field(header).empty()) return std::nullopt;
  // There is one way to write a header: this compares the hash and the zeros behind it too.
  if (to_text(header) != sector) return std::nullopt;
  return header;
}

}  // namespace dsr
