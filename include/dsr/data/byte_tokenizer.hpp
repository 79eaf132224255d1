// SPDX-License-Identifier: Apache-2.0
#pragma once
/// The byte-level tokenizer: a token is a byte, so any text and any file has a reading.
///
///     decode_bytes(encode_bytes("any text")) == "any text"
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dsr/core/shape.hpp"

namespace dsr {

inline constexpr Size kByteVocabulary = 256;

std::vector<std::int32_t> encode_bytes(std::string_view text);

/// Throws InvalidArgument for a token outside [0, 256).
std::string decode_bytes(std::span<std::int32_t const> tokens);

}  // namespace dsr
