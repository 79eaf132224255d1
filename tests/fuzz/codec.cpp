// SPDX-License-Identifier: Apache-2.0
/// Compressed chunks: any bytes as a frame, and as what is compressed. Two bytes before it say how
/// many bytes are wanted, a third the size of an element. Decoding gives exactly that or
/// CorruptData.
#include "dsr/checkpoint/codec.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include "dsr/core/error.hpp"

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  if (size < 3) return 0;
  dsr::Size const element = dsr::Size{1} << (data[2] & 3U);
  std::size_t const wanted = data[0] + (std::size_t{data[1]} << 8U);
  auto const bytes = std::as_bytes(std::span{data + 3, size - 3});
  dsr::Decoder decoder;
  std::vector<std::byte> out(wanted);
  try {
    decoder.decode(bytes, element, out);
  } catch (dsr::CorruptData const&) {
    out.clear();
  }
  dsr::Encoder encoder{1};
  auto const encoded = encoder.encode(bytes, element);
  out.resize(bytes.size());
  decoder.decode(encoded, element, out);
  if (!std::equal(out.begin(), out.end(), bytes.begin())) std::abort();
  return 0;
}
