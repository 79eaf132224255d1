// SPDX-License-Identifier: Apache-2.0
#pragma once
/// How bytes of a tensor are stored: as they are, or as chunks whose bytes are sorted by their
/// place in an element (all first bytes, all second ones, …: those of signs and exponents resemble
/// each other) and compressed by Zstandard.
///
///     Encoder encoder{1};
///     std::span<std::byte const> const stored = encoder.encode(chunk, size_of(DType::bf16));
///     Decoder decoder;
///     decoder.decode(stored, size_of(DType::bf16), chunk);
///
/// These are the bytes that HDF5's filters 2 (shuffle) and 32015 (Zstandard) make, one behind the
/// other.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "dsr/core/shape.hpp"

namespace dsr {

enum class Codec : std::uint8_t { none, shuffle_zstd };
/// "none" or "shuffle-zstd".
std::string_view name_of(Codec codec);

/// A chunk before encoding: what a reader must have memory for, whatever a manifest says.
inline constexpr Size kChunkMost_bytes = Size{4} << 20;
inline constexpr int kMostCompression = 22;  ///< Zstandard's highest level

/// The most that `bytes` bytes become.
Size encoded_bound(Size bytes);

/// out[j·n + i] = in[i·element + j] for n elements; bytes behind the last whole element stay where
/// they are. Equal sizes, apart.
void shuffle(std::span<std::byte const> in, Size element_bytes, std::span<std::byte> out);
/// The reverse.
void unshuffle(std::span<std::byte const> in, Size element_bytes, std::span<std::byte> out);

/// Moves, does not copy: it owns memory of Zstandard. One thread uses it.
class Encoder {
 public:
  /// Throws InvalidArgument unless the level is 1 to kMostCompression; OutOfMemory.
  explicit Encoder(int level);
  ~Encoder();
  Encoder(Encoder&&) noexcept;
  Encoder& operator=(Encoder&&) noexcept;
  Encoder(Encoder const&) = delete;
  Encoder& operator=(Encoder const&) = delete;

  /// Valid until the next call. The same bytes give the same result with the same Zstandard.
  std::span<std::byte const> encode(std::span<std::byte const> bytes, Size element_bytes);

 private:
  struct Context;
  std::unique_ptr<Context> context_;
  std::vector<std::byte> shuffled_, encoded_;
};

/// Moves, does not copy: it owns memory of Zstandard. One thread uses it.
class Decoder {
 public:
  Decoder();
  ~Decoder();
  Decoder(Decoder&&) noexcept;
  Decoder& operator=(Decoder&&) noexcept;
  Decoder(Decoder const&) = delete;
  Decoder& operator=(Decoder const&) = delete;

  /// Fills `bytes`. Throws CorruptData unless `encoded` is one frame, nothing behind it, of exactly
  /// as many bytes as wanted; what `bytes` holds then is open. Needs as much memory again, whatever
  /// the frame says.
  void decode(std::span<std::byte const> encoded, Size element_bytes, std::span<std::byte> bytes);

 private:
  struct Context;
  std::unique_ptr<Context> context_;
  std::vector<std::byte> shuffled_;
};

}  // namespace dsr
