// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Philox 4×32 with 10 rounds, plain C++ for host and device: the same bits on both.
///
/// Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011, section 3.3 and
/// table 2.
#include <cstdint>

#ifdef __CUDACC__
#define DSR_HOST_DEVICE __host__ __device__
#else
#define DSR_HOST_DEVICE
#endif

namespace dsr::kernels {

struct PhiloxBlock {
  std::uint32_t x[4];
};

/// One block of 128 random bits for (key, counter).
DSR_HOST_DEVICE inline PhiloxBlock philox(std::uint32_t key0, std::uint32_t key1,
                                          PhiloxBlock counter) {
  constexpr std::uint32_t kMultiply0 = 0xD2511F53U, kMultiply1 = 0xCD9E8D57U;
  constexpr std::uint32_t kWeyl0 = 0x9E3779B9U, kWeyl1 = 0xBB67AE85U;
  for (int round = 0; round < 10; ++round) {
    std::uint64_t const product0 = static_cast<std::uint64_t>(kMultiply0) * counter.x[0];
    std::uint64_t const product1 = static_cast<std::uint64_t>(kMultiply1) * counter.x[2];
    counter = {{static_cast<std::uint32_t>(product1 >> 32) ^ counter.x[1] ^ key0,
                static_cast<std::uint32_t>(product1),
                static_cast<std::uint32_t>(product0 >> 32) ^ counter.x[3] ^ key1,
                static_cast<std::uint32_t>(product0)}};
    key0 += kWeyl0;
    key1 += kWeyl1;
  }
  return counter;
}

}  // namespace dsr::kernels

#undef DSR_HOST_DEVICE
