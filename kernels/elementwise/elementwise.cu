// SPDX-License-Identifier: Apache-2.0
/// fill, add, scale: out[i] = f(in[i]). A block owns nothing: threads stride over the grid, 16 bytes at a time. Bytes per
/// element: each operand once. Numerics: f32 arithmetic, one rounding. Source: own.
#include "kernels/common/device.cuh"
#include "kernels/elementwise/elementwise.hpp"

namespace dsr::kernels {
namespace {

constexpr int kThreads = 256;

__device__ index_t first_item() { return static_cast<index_t>(blockIdx.x) * blockDim.x + threadIdx.x; }
__device__ index_t stride() { return static_cast<index_t>(gridDim.x) * blockDim.x; }

template <class Word>
__global__ void fill_kernel(Word* x, Word value, index_t elements) {
  for (index_t i = first_item(); i < elements; i += stride()) x[i] = value;
}

template <class Word>
void fill_words(void* x, std::uint64_t pattern, index_t elements, stream_t stream) {
  fill_kernel<<<grid_for(elements, kThreads), kThreads, 0, stream>>>(static_cast<Word*>(x),
                                                                     static_cast<Word>(pattern), elements);
}

/// Whole vectors first, then what is left.
__global__ void add_kernel(bf16_t const* a, bf16_t const* b, bf16_t* out, index_t elements) {
  index_t const vectors = elements / kVector;
  for (index_t v = first_item(); v < vectors; v += stride()) {
    float x[kVector], y[kVector];
    load(a + v * kVector, x);
    load(b + v * kVector, y);
#pragma unroll
    for (int i = 0; i < kVector; ++i) x[i] += y[i];
    store(out + v * kVector, x);
  }
  for (index_t i = vectors * kVector + first_item(); i < elements; i += stride()) {
    out[i] = to_bf16(to_float(a[i]) + to_float(b[i]));
  }
}

__global__ void add_kernel(float const* a, float const* b, float* out, index_t elements) {
  for (index_t i = first_item(); i < elements; i += stride()) out[i] = a[i] + b[i];
}

__global__ void scale_kernel(bf16_t* x, float factor, index_t elements) {
  for (index_t i = first_item(); i < elements; i += stride()) x[i] = to_bf16(to_float(x[i]) * factor);
}

__global__ void scale_kernel(float* x, float factor, index_t elements) {
  for (index_t i = first_item(); i < elements; i += stride()) x[i] *= factor;
}

}  // namespace

void fill(void* x, std::uint64_t pattern, index_t elements, int element_bytes, stream_t stream) {
  if (element_bytes == 1) return fill_words<std::uint8_t>(x, pattern, elements, stream);
  if (element_bytes == 2) return fill_words<std::uint16_t>(x, pattern, elements, stream);
  if (element_bytes == 4) return fill_words<std::uint32_t>(x, pattern, elements, stream);
  fill_words<std::uint64_t>(x, pattern, elements, stream);
}

void add(bf16_t const* a, bf16_t const* b, bf16_t* out, index_t elements, stream_t stream) {
  add_kernel<<<grid_for(elements / kVector + 1, kThreads), kThreads, 0, stream>>>(a, b, out, elements);
}
void add(float const* a, float const* b, float* out, index_t elements, stream_t stream) {
  add_kernel<<<grid_for(elements, kThreads), kThreads, 0, stream>>>(a, b, out, elements);
}
void scale(bf16_t* x, float factor, index_t elements, stream_t stream) {
  scale_kernel<<<grid_for(elements, kThreads), kThreads, 0, stream>>>(x, factor, elements);
}
void scale(float* x, float factor, index_t elements, stream_t stream) {
  scale_kernel<<<grid_for(elements, kThreads), kThreads, 0, stream>>>(x, factor, elements);
}

}  // namespace dsr::kernels
