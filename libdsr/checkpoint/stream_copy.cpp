// SPDX-License-Identifier: Apache-2.0
#include "libdsr/checkpoint/stream_copy.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace dsr::detail {

#if defined(__SSE2__)

namespace {
constexpr std::size_t kLine_bytes = 64;  // written whole, or the processor reads it after all
}

void stream_copy(void const* from, void* to, Size bytes) {
  auto const* source = static_cast<std::byte const*>(from);
  auto* out = static_cast<std::byte*>(to);
  auto left = static_cast<std::size_t>(bytes);
  std::size_t const past = reinterpret_cast<std::uintptr_t>(out) % kLine_bytes;
  std::size_t const head = std::min(left, past == 0 ? 0 : kLine_bytes - past);
  std::memcpy(out, source, head);
  source += head, out += head, left -= head;
  for (; left >= kLine_bytes; source += kLine_bytes, out += kLine_bytes, left -= kLine_bytes) {
    auto const* in16 = reinterpret_cast<__m128i const*>(source);
    auto* out16 = reinterpret_cast<__m128i*>(out);
    __m128i const a = _mm_loadu_si128(in16), b = _mm_loadu_si128(in16 + 1),
                  c = _mm_loadu_si128(in16 + 2), d = _mm_loadu_si128(in16 + 3);
    _mm_stream_si128(out16, a);
    _mm_stream_si128(out16 + 1, b);
    _mm_stream_si128(out16 + 2, c);
    _mm_stream_si128(out16 + 3, d);
  }
  std::memcpy(out, source, left);
  _mm_sfence();  // before another thread is told that it is there
}

#else

void stream_copy(void const* from, void* to, Size bytes) {
  std::memcpy(to, from, static_cast<std::size_t>(bytes));
}

#endif

}  // namespace dsr::detail
