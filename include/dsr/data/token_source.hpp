// SPDX-License-Identifier: Apache-2.0
#pragma once
/// TokenSource: tokens that can be read anywhere; files of tokens, and parts of them.
///
///     Tokens all = open_tokens("train.bin");   // nanoGPT's format, or text for other names
///     Split split = split_tokens(all, 0.1);    // the last tenth is for validation
///     std::vector<std::int32_t> first(64);
///     split.train->read(0, first);
///
/// Derive from it for another format: size, vocabulary, name and read are all that a Loader asks.
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dsr/core/shape.hpp"

namespace dsr {

/// Immutable: any number of threads may read.
class TokenSource {
 public:
  virtual ~TokenSource() = default;
  /// Number of tokens.
  virtual Size size() const = 0;
  /// All tokens are in [0, vocabulary), by the format alone.
  virtual Size vocabulary() const = 0;
  /// For messages: the path.
  virtual std::string name() const = 0;
  /// Tokens [begin, begin + out.size()). Throws InvalidArgument outside the source.
  void read(Size begin, std::span<std::int32_t> out) const;

 protected:
  /// The same for a range that is inside.
  virtual void copy(Size begin, std::span<std::int32_t> out) const = 0;
};

/// Parts share the file that they are cut from.
using Tokens = std::shared_ptr<TokenSource const>;

/// automatic: nanogpt for names that end in .bin, otherwise text.
enum class TokenFormat : std::uint8_t { automatic, text, nanogpt };

/// "auto", "text", "nanogpt". Throws InvalidArgument with the nearest name.
TokenFormat parse_token_format(std::string_view name);

/// Maps a file. text: each byte is a token, whatever it is. nanogpt: little-endian uint16, nothing
/// else. Throws IoError if it cannot be read, CorruptData (path and size) if it is empty or a
/// nanogpt file of odd size.
Tokens open_tokens(std::string const& path, TokenFormat format = TokenFormat::automatic);

/// Tokens of the caller, for tests and made-up data. Throws InvalidArgument if one is outside [0,
/// vocabulary).
Tokens memory_tokens(std::vector<std::int32_t> tokens, Size vocabulary,
                     std::string name = "memory");

/// Tokens [begin, end) of a source. Throws InvalidArgument unless 0 <= begin <= end <= size.
Tokens slice(Tokens const& source, Size begin, Size end);

struct Split {
  Tokens train, validation;
};

/// The last round(size·validation) tokens are for validation. Throws InvalidArgument unless 0 <=
/// validation < 1.
Split split_tokens(Tokens const& source, double validation);

/// Reads every token, unless the format alone rules a bad one out. Throws CorruptData that names
/// the source, the first bad token and its number, and the range allowed.
void require_tokens_below(TokenSource const& source, Size vocabulary);

/// Throws CorruptData, with both numbers, if a source cannot fill one sequence and its last target.
void require_sequence(TokenSource const& source, Size sequence);

}  // namespace dsr
