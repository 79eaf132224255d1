// SPDX-License-Identifier: Apache-2.0
#include "dsr/data/byte_tokenizer.hpp"

#include "dsr/core/error.hpp"

namespace dsr {

std::vector<std::int32_t> encode_bytes(std::string_view text) {
  std::vector<std::int32_t> tokens;
  tokens.reserve(text.size());
  for (char const c : text) tokens.push_back(static_cast<unsigned char>(c));
  return tokens;
}

std::string decode_bytes(std::span<std::int32_t const> tokens) {
  std::string text;
  text.reserve(tokens.size());
  for (std::int32_t const token : tokens) {
    if (token < 0 || token >= kByteVocabulary) {
      throw InvalidArgument(problem("byte tokenizer: token", std::to_string(token), "0 to 255"));
    }
    text += static_cast<char>(static_cast<unsigned char>(token));
  }
  return text;
}

}  // namespace dsr
