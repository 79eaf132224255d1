// SPDX-License-Identifier: Apache-2.0
#pragma once
/// What kernels share on the device: eight bf16 at a time, sums over a block, launch sizes.
#include <cuda_bf16.h>

#include "kernels/common/types.hpp"

namespace dsr::kernels {

/// bf16 that a thread moves with one 16-byte access.
inline constexpr int kVector = 8;

__device__ inline float to_float(bf16_t bits) { return __bfloat162float(__ushort_as_bfloat16(bits)); }
__device__ inline bf16_t to_bf16(float x) { return __bfloat16_as_ushort(__float2bfloat16_rn(x)); }

__device__ inline void unpack(uint4 bits, float (&x)[kVector]) {
  unsigned const words[4] = {bits.x, bits.y, bits.z, bits.w};
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    x[2 * i] = __uint_as_float(words[i] << 16);
    x[2 * i + 1] = __uint_as_float(words[i] & 0xFFFF0000U);
  }
}

/// Two roundings in one instruction.
__device__ inline unsigned pack(float low, float high) {
  __nv_bfloat162 const both = __floats2bfloat162_rn(low, high);
  return static_cast<unsigned>(__bfloat16_as_ushort(both.x)) |
         static_cast<unsigned>(__bfloat16_as_ushort(both.y)) << 16;
}

__device__ inline uint4 pack(float const (&x)[kVector]) {
  return make_uint4(pack(x[0], x[1]), pack(x[2], x[3]), pack(x[4], x[5]), pack(x[6], x[7]));
}

/// x[0…8) from an address that is a multiple of 16.
__device__ inline void load(bf16_t const* from, float (&x)[kVector]) {
  unpack(*reinterpret_cast<uint4 const*>(from), x);
}

__device__ inline void store(bf16_t* to, float const (&x)[kVector]) {
  *reinterpret_cast<uint4*>(to) = pack(x);
}

__device__ inline void store(float* to, float const (&x)[kVector]) {
  reinterpret_cast<float4*>(to)[0] = make_float4(x[0], x[1], x[2], x[3]);
  reinterpret_cast<float4*>(to)[1] = make_float4(x[4], x[5], x[6], x[7]);
}

__device__ inline void store_one(bf16_t* to, float x) { *to = to_bf16(x); }
__device__ inline void store_one(float* to, float x) { *to = x; }

__device__ inline void load(float const* from, float (&x)[kVector]) {
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    float4 const four = reinterpret_cast<float4 const*>(from)[i];
    x[4 * i] = four.x;
    x[4 * i + 1] = four.y;
    x[4 * i + 2] = four.z;
    x[4 * i + 3] = four.w;
  }
}

struct Sum {
  __device__ static float of(float a, float b) { return a + b; }
  static constexpr float kNothing = 0;
};
struct Max {
  __device__ static float of(float a, float b) { return fmaxf(a, b); }
  static constexpr float kNothing = -__builtin_huge_valf();
};

/// The reduction of x over a block of at most 1024 threads, a multiple of 32, on every thread; the order depends on
/// nothing but the block's size. `shared` holds 32 floats; the block has synchronised on them when it returns.
template <class Operation>
__device__ inline float reduce_block(float x, float* shared) {
#pragma unroll
  for (int offset = 16; offset > 0; offset /= 2) x = Operation::of(x, __shfl_xor_sync(0xFFFFFFFFU, x, offset));
  int const warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  if (lane == 0) shared[warp] = x;
  __syncthreads();
  int const warps = static_cast<int>(blockDim.x) / 32;
  x = lane < warps ? shared[lane] : Operation::kNothing;
#pragma unroll
  for (int offset = 16; offset > 0; offset /= 2) x = Operation::of(x, __shfl_xor_sync(0xFFFFFFFFU, x, offset));
  __syncthreads();
  return x;
}

/// Blocks for `items` pieces of work of a loop that strides over the grid.
inline unsigned grid_for(index_t items, int threads) {
  index_t const blocks = (items + threads - 1) / threads;
  constexpr index_t kMost = 132 * 16;  // enough to fill a Hopper GPU at any occupancy
  return static_cast<unsigned>(blocks < 1 ? 1 : blocks < kMost ? blocks : kMost);
}

}  // namespace dsr::kernels
