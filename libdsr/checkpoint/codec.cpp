// SPDX-License-Identifier: Apache-2.0
#include "dsr/checkpoint/codec.hpp"

#include <zstd.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "dsr/core/error.hpp"

namespace dsr {
namespace {

/// The size of an element is known to the compiler, so that the loop becomes vector instructions.
template <Size kElement>
void shuffle_elements(std::byte const* __restrict in, Size count, std::byte* __restrict out) {
  for (Size i = 0; i < count; ++i) {
    for (Size j = 0; j < kElement; ++j) out[j * count + i] = in[i * kElement + j];
  }
}

template <Size kElement>
void unshuffle_elements(std::byte const* __restrict in, Size count, std::byte* __restrict out) {
  for (Size i = 0; i < count; ++i) {
    for (Size j = 0; j < kElement; ++j) out[i * kElement + j] = in[j * count + i];
  }
}

/// What is behind the last whole element; all of it for elements of one byte.
void copy_rest(std::span<std::byte const> in, Size done, std::span<std::byte> out) {
  auto const rest = in.subspan(static_cast<std::size_t>(done));
  if (!rest.empty()) std::memcpy(out.data() + done, rest.data(), rest.size());
}

void check_sizes(std::span<std::byte const> in, Size element_bytes, std::span<std::byte> out) {
  if (in.size() != out.size() ||
      (element_bytes != 1 && element_bytes != 2 && element_bytes != 4 && element_bytes != 8)) {
    throw InvalidArgument(problem("shuffle",
                                  std::to_string(in.size()) + " into " +
                                      std::to_string(out.size()) + " bytes of elements of " +
                                      std::to_string(element_bytes),
                                  "equal sizes, and elements of 1, 2, 4 or 8"));
  }
}

std::size_t checked(std::size_t result, char const* action) {
  if (ZSTD_isError(result) != 0)
    throw Error(problem(std::string{"Zstandard: "} + action, ZSTD_getErrorName(result), "success"));
  return result;
}

}  // namespace

std::string_view name_of(Codec codec) { return codec == Codec::none ? "none" : "shuffle-zstd"; }

Size encoded_bound(Size bytes) {
  return static_cast<Size>(ZSTD_compressBound(static_cast<std::size_t>(bytes)));
}

void shuffle(std::span<std::byte const> in, Size element_bytes, std::span<std::byte> out) {
  check_sizes(in, element_bytes, out);
  Size const count = element_bytes == 1 ? 0 : std::ssize(in) / element_bytes;
  if (element_bytes == 2) shuffle_elements<2>(in.data(), count, out.data());
  if (element_bytes == 4) shuffle_elements<4>(in.data(), count, out.data());
  if (element_bytes == 8) shuffle_elements<8>(in.data(), count, out.data());
  copy_rest(in, count * element_bytes, out);
}

void unshuffle(std::span<std::byte const> in, Size element_bytes, std::span<std::byte> out) {
  check_sizes(in, element_bytes, out);
  Size const count = element_bytes == 1 ? 0 : std::ssize(in) / element_bytes;
  if (element_bytes == 2) unshuffle_elements<2>(in.data(), count, out.data());
  if (element_bytes == 4) unshuffle_elements<4>(in.data(), count, out.data());
  if (element_bytes == 8) unshuffle_elements<8>(in.data(), count, out.data());
  copy_rest(in, count * element_bytes, out);
}

struct Encoder::Context {
  ZSTD_CCtx* zstd = ZSTD_createCCtx();
  Context() = default;
  ~Context() { ZSTD_freeCCtx(zstd); }
  Context(Context const&) = delete;
  Context& operator=(Context const&) = delete;
};

Encoder::Encoder(int level) : context_{std::make_unique<Context>()} {
  if (level < 1 || level > kMostCompression) {
    throw InvalidArgument(problem("level of compression", std::to_string(level),
                                  "1 to " + std::to_string(kMostCompression)));
  }
  if (context_->zstd == nullptr)
    throw OutOfMemory(problem("Zstandard", "no memory for a compressor", "some"));
  checked(ZSTD_CCtx_setParameter(context_->zstd, ZSTD_c_compressionLevel, level), "level");
}

Encoder::~Encoder() = default;
Encoder::Encoder(Encoder&&) noexcept = default;
Encoder& Encoder::operator=(Encoder&&) noexcept = default;

std::span<std::byte const> Encoder::encode(std::span<std::byte const> bytes, Size element_bytes) {
  shuffled_.resize(bytes.size());
  shuffle(bytes, element_bytes, shuffled_);
  encoded_.resize(static_cast<std::size_t>(encoded_bound(std::ssize(bytes))));
  std::size_t const size = checked(ZSTD_compress2(context_->zstd, encoded_.data(), encoded_.size(),
                                                  shuffled_.data(), shuffled_.size()),
                                   "compressing");
  return std::span{encoded_}.first(size);
}

struct Decoder::Context {
  ZSTD_DCtx* zstd = ZSTD_createDCtx();
  Context() = default;
  ~Context() { ZSTD_freeDCtx(zstd); }
  Context(Context const&) = delete;
  Context& operator=(Context const&) = delete;
};

Decoder::Decoder() : context_{std::make_unique<Context>()} {
  if (context_->zstd == nullptr)
    throw OutOfMemory(problem("Zstandard", "no memory for a decompressor", "some"));
}

Decoder::~Decoder() = default;
Decoder::Decoder(Decoder&&) noexcept = default;
Decoder& Decoder::operator=(Decoder&&) noexcept = default;

void Decoder::decode(std::span<std::byte const> encoded, Size element_bytes,
                     std::span<std::byte> bytes) {
  auto const refuse = [](std::string const& found, std::string const& allowed) {
    throw CorruptData(problem("compressed chunk", found, allowed));
  };
  // A frame without its size, and one that is skipped, are not what Encoder makes.
  unsigned long long const says = ZSTD_getFrameContentSize(encoded.data(), encoded.size());
  if (says == ZSTD_CONTENTSIZE_ERROR || says == ZSTD_CONTENTSIZE_UNKNOWN)
    refuse("no frame with a size", "a frame of " + std::to_string(bytes.size()) + " bytes");
  if (says != bytes.size()) refuse(std::to_string(says) + " bytes", std::to_string(bytes.size()));
  std::size_t const frame = ZSTD_findFrameCompressedSize(encoded.data(), encoded.size());
  if (ZSTD_isError(frame) != 0) refuse(ZSTD_getErrorName(frame), "a whole frame");
  if (frame != encoded.size())
    refuse(std::to_string(encoded.size() - frame) + " bytes behind the frame", "none");
  shuffled_.resize(bytes.size());
  std::size_t const size = ZSTD_decompressDCtx(context_->zstd, shuffled_.data(), shuffled_.size(),
                                               encoded.data(), encoded.size());
  if (ZSTD_isError(size) != 0) refuse(ZSTD_getErrorName(size), "a frame that decodes");
  if (size != bytes.size()) refuse(std::to_string(size) + " bytes", std::to_string(bytes.size()));
  unshuffle(shuffled_, element_bytes, bytes);
}

}  // namespace dsr
