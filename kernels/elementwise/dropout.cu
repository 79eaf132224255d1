// SPDX-License-Identifier: Apache-2.0
/// out = x·factor where the Philox word of (ordinal, position, feature / 4), word feature % 4, is at least threshold, else
/// 0: the same bits as on the host. A thread owns one group of four features that share a Philox block. Bytes per
/// element: 4. Source: kernels/common/philox.hpp.
#include "kernels/common/device.cuh"
#include "kernels/common/philox.hpp"
#include "kernels/elementwise/elementwise.hpp"

namespace dsr::kernels {
namespace {

constexpr int kThreads = 256;

__global__ void dropout_kernel(bf16_t const* x, bf16_t* out, Dropout mask, index_t rows, index_t features,
                               index_t groups) {
  index_t const first_group = mask.first_feature / 4;
  for (index_t item = static_cast<index_t>(blockIdx.x) * blockDim.x + threadIdx.x; item < rows * groups;
       item += static_cast<index_t>(gridDim.x) * blockDim.x) {
    index_t const row = item / groups, group = first_group + item % groups;
    PhiloxBlock const bits = philox(mask.key_low, mask.key_high,
                                    {{static_cast<std::uint32_t>(mask.ordinals[row]),
                                      static_cast<std::uint32_t>(mask.positions[row]),
                                      static_cast<std::uint32_t>(group), 0U}});
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      index_t const feature = group * 4 + i - mask.first_feature;
      if (feature < 0 || feature >= features) continue;
      index_t const at = row * features + feature;
      out[at] = bits.x[i] >= mask.threshold ? to_bf16(to_float(x[at]) * mask.factor) : bf16_t{0};
    }
  }
}

}  // namespace

void dropout(bf16_t const* x, bf16_t* out, Dropout const& mask, index_t rows, index_t features, stream_t stream) {
  index_t const groups = (mask.first_feature + features + 3) / 4 - mask.first_feature / 4;
  dropout_kernel<<<grid_for(rows * groups, kThreads), kThreads, 0, stream>>>(x, out, mask, rows, features, groups);
}

}  // namespace dsr::kernels
