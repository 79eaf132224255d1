// SPDX-License-Identifier: Apache-2.0
/// fill, add, scale: out[i] = f(in[i]). A block owns nothing: threads stride over the grid with
/// four pieces of 16 bytes in flight each; tails and addresses that are no multiple of 16 go
/// element by element. Bytes per element: each operand once. Numerics: f32 arithmetic (f64 for f64),
/// one rounding. Source: own.
#include "kernels/common/vectors.cuh"
#include "kernels/elementwise/elementwise.hpp"

namespace dsr::kernels {
namespace {

constexpr int kThreads = 256;

__device__ index_t first_item() {
  return static_cast<index_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}
__device__ index_t stride() { return static_cast<index_t>(gridDim.x) * blockDim.x; }

/// Pieces of 16 bytes, then what is left of the elements.
template <class Word>
__global__ void fill_kernel(Word* x, Word value, uint4 piece, index_t pieces, index_t elements) {
  for (index_t i = first_item(); i < pieces; i += stride()) reinterpret_cast<uint4*>(x)[i] = piece;
  constexpr index_t kWords = 16 / sizeof(Word);
  for (index_t i = pieces * kWords + first_item(); i < elements; i += stride()) x[i] = value;
}

template <class Word>
void fill_words(void* x, std::uint64_t pattern, index_t elements, stream_t stream) {
  std::uint64_t both = static_cast<Word>(pattern);
  for (unsigned bits = 8 * sizeof(Word); bits < 64; bits *= 2) both |= both << bits;
  auto const low = static_cast<unsigned>(both), high = static_cast<unsigned>(both >> 32);
  index_t const pieces = aligned({x}) ? elements / static_cast<index_t>(16 / sizeof(Word)) : 0;
  index_t const items = pieces > 0 ? pieces : elements;
  fill_kernel<<<grid_for(items, kThreads), kThreads, 0, stream>>>(
      static_cast<Word*>(x), static_cast<Word>(pattern), make_uint4(low, high, low, high), pieces,
      elements);
}

/// out = f(a, b) for 16 bytes of each at a time.
template <class T>
struct Piece;
template <>
struct Piece<bf16_t> {
  using Bits = uint4;
  static constexpr int kElements = kVector;
  template <class F>
  __device__ static uint4 of(uint4 a, uint4 b, F f) {
    float x[kVector], y[kVector];
    unpack(a, x);
    unpack(b, y);
#pragma unroll
    for (int i = 0; i < kVector; ++i) x[i] = f(x[i], y[i]);
    return pack(x);
  }
  template <class F>
  __device__ static bf16_t one(bf16_t a, bf16_t b, F f) {
    return to_bf16(f(to_float(a), to_float(b)));
  }
};
template <>
struct Piece<float> {
  using Bits = float4;
  static constexpr int kElements = 4;
  template <class F>
  __device__ static float4 of(float4 a, float4 b, F f) {
    return make_float4(f(a.x, b.x), f(a.y, b.y), f(a.z, b.z), f(a.w, b.w));
  }
  template <class F>
  __device__ static float one(float a, float b, F f) {
    return f(a, b);
  }
};

template <>
struct Piece<double> {
  using Bits = double2;
  static constexpr int kElements = 2;
  template <class F>
  __device__ static double2 of(double2 a, double2 b, F f) {
    return make_double2(f(a.x, b.x), f(a.y, b.y));
  }
  template <class F>
  __device__ static double one(double a, double b, F f) {
    return f(a, b);
  }
};

/// A block takes kFlight·kThreads pieces in a row, then strides. Operands may be one another.
template <class T, class F>
__device__ void for_elements(T const* a, T const* b, T* out, index_t pieces, index_t elements,
                             F f) {
  using Bits = typename Piece<T>::Bits;
  auto const* const as = reinterpret_cast<Bits const*>(a);
  auto const* const bs = reinterpret_cast<Bits const*>(b);
  index_t first = static_cast<index_t>(blockIdx.x) * blockDim.x * kFlight + threadIdx.x;
  for (; first < pieces; first += stride() * kFlight) {
    Bits x[kFlight], y[kFlight];
#pragma unroll
    for (int k = 0; k < kFlight; ++k) {
      index_t const at = first + k * kThreads;
      if (at >= pieces) continue;
      x[k] = __ldcs(as + at);
      y[k] = a == b ? x[k] : __ldcs(bs + at);
    }
#pragma unroll
    for (int k = 0; k < kFlight; ++k) {
      index_t const at = first + k * kThreads;
      if (at < pieces) reinterpret_cast<Bits*>(out)[at] = Piece<T>::of(x[k], y[k], f);
    }
  }
  for (index_t i = pieces * Piece<T>::kElements + first_item(); i < elements; i += stride()) {
    out[i] = Piece<T>::one(a[i], b[i], f);
  }
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    add_kernel(T const* a, T const* b, T* out, index_t pieces, index_t elements) {
  for_elements(a, b, out, pieces, elements, [](auto x, auto y) { return x + y; });
}

template <class T, class Factor>
__global__ void __launch_bounds__(kThreads)
    scale_kernel(T* x, Factor factor, index_t pieces, index_t elements) {
  for_elements(x, x, x, pieces, elements, [=](auto value, auto) { return value * factor; });
}

unsigned blocks_for(index_t pieces, index_t elements) {
  return grid_for(pieces > 0 ? pieces / kFlight + 1 : elements, kThreads);
}

template <class T>
void add_any(T const* a, T const* b, T* out, index_t elements, stream_t stream) {
  index_t const pieces = aligned({a, b, out}) ? elements / Piece<T>::kElements : 0;
  add_kernel<<<blocks_for(pieces, elements), kThreads, 0, stream>>>(a, b, out, pieces, elements);
}

template <class T, class Factor>
void scale_any(T* x, Factor factor, index_t elements, stream_t stream) {
  index_t const pieces = aligned({x}) ? elements / Piece<T>::kElements : 0;
  scale_kernel<<<blocks_for(pieces, elements), kThreads, 0, stream>>>(x, factor, pieces, elements);
}

}  // namespace

void fill(void* x, std::uint64_t pattern, index_t elements, int element_bytes, stream_t stream) {
  if (element_bytes == 1) return fill_words<std::uint8_t>(x, pattern, elements, stream);
  if (element_bytes == 2) return fill_words<std::uint16_t>(x, pattern, elements, stream);
  if (element_bytes == 4) return fill_words<std::uint32_t>(x, pattern, elements, stream);
  fill_words<std::uint64_t>(x, pattern, elements, stream);
}

void add(bf16_t const* a, bf16_t const* b, bf16_t* out, index_t elements, stream_t stream) {
  add_any(a, b, out, elements, stream);
}
void add(float const* a, float const* b, float* out, index_t elements, stream_t stream) {
  add_any(a, b, out, elements, stream);
}
void add(double const* a, double const* b, double* out, index_t elements, stream_t stream) {
  add_any(a, b, out, elements, stream);
}
void scale(bf16_t* x, float factor, index_t elements, stream_t stream) {
  scale_any(x, factor, elements, stream);
}
void scale(float* x, float factor, index_t elements, stream_t stream) {
  scale_any(x, factor, elements, stream);
}
void scale(double* x, double factor, index_t elements, stream_t stream) {
  scale_any(x, factor, elements, stream);
}

}  // namespace dsr::kernels
