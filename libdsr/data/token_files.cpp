// SPDX-License-Identifier: Apache-2.0
/// Files of tokens, mapped: bytes of text, and nanoGPT's raw uint16.
#include <utility>

#include "dsr/core/error.hpp"
#include "dsr/data/byte_tokenizer.hpp"
#include "dsr/data/token_source.hpp"
#include "dsr/io/mapped_file.hpp"

namespace dsr {
namespace {

class TextTokens final : public TokenSource {
 public:
  explicit TextTokens(MappedFile file) : file_(std::move(file)) {}

  Size size() const override { return static_cast<Size>(file_.bytes().size()); }
  Size vocabulary() const override { return kByteVocabulary; }
  std::string name() const override { return file_.path(); }

 protected:
  void copy(Size begin, std::span<std::int32_t> out) const override {
    std::byte const* const from = file_.bytes().data() + begin;
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = std::to_integer<std::int32_t>(from[i]);
  }

 private:
  MappedFile file_;
};

class NanogptTokens final : public TokenSource {
 public:
  explicit NanogptTokens(MappedFile file) : file_(std::move(file)) {}

  Size size() const override { return static_cast<Size>(file_.bytes().size() / kToken_bytes); }
  Size vocabulary() const override { return Size{1} << 16U; }
  std::string name() const override { return file_.path(); }

  static constexpr std::size_t kToken_bytes = 2;

 protected:
  void copy(Size begin, std::span<std::int32_t> out) const override {
    std::byte const* const from =
        file_.bytes().data() + static_cast<std::size_t>(begin) * kToken_bytes;
    for (std::size_t i = 0; i < out.size(); ++i) {  // little-endian whatever the machine
      out[i] = std::to_integer<std::int32_t>(from[2 * i]) |
               std::to_integer<std::int32_t>(from[2 * i + 1]) << 8;
    }
  }

 private:
  MappedFile file_;
};

TokenFormat format_of(std::string const& path, TokenFormat format) {
  if (format != TokenFormat::automatic) return format;
  return path.ends_with(".bin") ? TokenFormat::nanogpt : TokenFormat::text;
}

}  // namespace

Tokens open_tokens(std::string const& path, TokenFormat format) {
  MappedFile file{path};
  std::size_t const bytes = file.bytes().size();
  if (bytes == 0) throw CorruptData(problem(path, "0 bytes", "at least one token"));
  if (format_of(path, format) == TokenFormat::text)
    return std::make_shared<TextTokens>(std::move(file));
  if (bytes % NanogptTokens::kToken_bytes != 0) {
    throw CorruptData(
        problem(path, std::to_string(bytes) + " bytes",
                "a multiple of 2 (uint16 tokens); the file is cut short or of another format"));
  }
  return std::make_shared<NanogptTokens>(std::move(file));
}

}  // namespace dsr
