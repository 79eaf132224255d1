// SPDX-License-Identifier: Apache-2.0
/// out[t] += table[id_t]; dtable[v] += Σ_{t: id_t = v} dx[t]. Forward: a block owns a token. Backward: tokens are sorted by
/// id (a stable radix sort keeps their order), and the block of a run's first token adds up the run, so no two blocks
/// write one row. Bytes per element: forward 6; backward 2 plus 8 per distinct row's element. Numerics: f32 sums in token
/// order. Source: CUB's DeviceRadixSort for the sort.
#include <cub/device/device_radix_sort.cuh>

#include "kernels/common/device.cuh"
#include "kernels/embedding/embedding.hpp"

namespace dsr::kernels {
namespace {

constexpr int kThreads = 128;

/// Where feature f of token t lies in [parts, tokens, width].
__device__ index_t place(index_t t, index_t f, index_t tokens, index_t width) {
  return (f / width * tokens + t) * width + f % width;
}

__global__ void embedding_kernel(std::int32_t const* ids, bf16_t const* table, index_t first_row, index_t table_rows,
                                 bf16_t* out, index_t tokens, index_t hidden, index_t width) {
  index_t const t = blockIdx.x, row = ids[t] - first_row;
  if (ids[t] < 0 || row < 0 || row >= table_rows) return;
  if (width % kVector == 0) {
    for (index_t f = threadIdx.x * kVector; f < hidden; f += blockDim.x * kVector) {
      float a[kVector], b[kVector];
      load(out + place(t, f, tokens, width), a);
      load(table + row * hidden + f, b);
#pragma unroll
      for (int i = 0; i < kVector; ++i) a[i] += b[i];
      store(out + place(t, f, tokens, width), a);
    }
    return;
  }
  for (index_t f = threadIdx.x; f < hidden; f += blockDim.x) {
    bf16_t& to = out[place(t, f, tokens, width)];
    to = to_bf16(to_float(to) + to_float(table[row * hidden + f]));
  }
}

__global__ void number_kernel(std::int32_t const* ids, std::uint32_t* keys, std::int32_t* numbers, index_t first_row,
                              index_t table_rows, index_t tokens) {
  index_t const t = static_cast<index_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (t >= tokens) return;
  index_t const row = ids[t] - first_row;
  bool const mine = ids[t] >= 0 && row >= 0 && row < table_rows;
  keys[t] = mine ? static_cast<std::uint32_t>(row) : 0xFFFFFFFFU;  // others go last
  numbers[t] = static_cast<std::int32_t>(t);
}

__global__ void add_runs_kernel(std::uint32_t const* keys, std::int32_t const* numbers, bf16_t const* dx, float* dtable,
                                index_t tokens, index_t hidden, index_t width) {
  index_t const first = blockIdx.x;
  std::uint32_t const key = keys[first];
  if (key == 0xFFFFFFFFU || (first > 0 && keys[first - 1] == key)) return;
  for (index_t f = static_cast<index_t>(blockIdx.y) * blockDim.x + threadIdx.x; f < hidden;
       f += static_cast<index_t>(gridDim.y) * blockDim.x) {
    float sum = 0;
    for (index_t i = first; i < tokens && keys[i] == key; ++i) sum += to_float(dx[place(numbers[i], f, tokens, width)]);
    dtable[static_cast<index_t>(key) * hidden + f] += sum;
  }
}

std::size_t sort_bytes(index_t tokens) {
  std::size_t bytes = 0;
  cub::DeviceRadixSort::SortPairs(nullptr, bytes, static_cast<std::uint32_t const*>(nullptr),
                                  static_cast<std::uint32_t*>(nullptr), static_cast<std::int32_t const*>(nullptr),
                                  static_cast<std::int32_t*>(nullptr), static_cast<int>(tokens));
  return bytes;
}

index_t array_bytes(index_t tokens) { return (4 * tokens + 255) / 256 * 256; }

}  // namespace

void embedding(std::int32_t const* ids, bf16_t const* table, index_t first_row, index_t table_rows, bf16_t* out,
               int parts, index_t tokens, index_t hidden, stream_t stream) {
  embedding_kernel<<<static_cast<unsigned>(tokens), kThreads, 0, stream>>>(ids, table, first_row, table_rows, out,
                                                                           tokens, hidden, hidden / parts);
}

index_t embedding_backward_bytes(index_t tokens) {
  return 4 * array_bytes(tokens) + static_cast<index_t>(sort_bytes(tokens));
}

void embedding_backward(std::int32_t const* ids, index_t first_row, index_t table_rows, bf16_t const* dx, float* dtable,
                        int parts, index_t tokens, index_t hidden, void* memory, stream_t stream) {
  auto* const base = static_cast<char*>(memory);
  auto const array = [&](int number) { return base + number * array_bytes(tokens); };
  auto *keys = reinterpret_cast<std::uint32_t*>(array(0)), *sorted = reinterpret_cast<std::uint32_t*>(array(1));
  auto *numbers = reinterpret_cast<std::int32_t*>(array(2)), *order = reinterpret_cast<std::int32_t*>(array(3));
  auto const blocks = static_cast<unsigned>((tokens + kThreads - 1) / kThreads);
  number_kernel<<<blocks, kThreads, 0, stream>>>(ids, keys, numbers, first_row, table_rows, tokens);
  std::size_t bytes = sort_bytes(tokens);
  cub::DeviceRadixSort::SortPairs(array(4), bytes, keys, sorted, numbers, order, static_cast<int>(tokens), 0, 32,
                                  stream);
  dim3 const grid{static_cast<unsigned>(tokens), static_cast<unsigned>((hidden + 511) / 512)};
  add_runs_kernel<<<grid, kThreads, 0, stream>>>(sorted, order, dx, dtable, tokens, hidden, hidden / parts);
}

}  // namespace dsr::kernels
