// SPDX-License-Identifier: Apache-2.0
/// dtable[v] += Σ_{t: id_t = v} dx[t]. Tokens are sorted by row, stably, and cut into segments of
/// 32. A block owns a segment and 1024 columns: it reads the segment's rows of dx once, and adds
/// each run of one table row to that row; only the sum of a first run that began in an earlier
/// segment goes to memory of its own (a head), and a second kernel adds the heads of such a run in
/// order. So no two blocks write one row, all blocks have the same work however often a token
/// comes, and the order of additions depends on ids alone. Bytes per element: 2 read, and 8 per
/// element of a distinct row; 8 per element of a head. Numerics: f32. Source: CUB's DeviceRadixSort
/// for the sort.
#include <cub/device/device_radix_sort.cuh>

#include "kernels/common/vectors.cuh"
#include "kernels/embedding/embedding.hpp"

namespace dsr::kernels {
namespace {

constexpr int kThreads = 128, kSegment = 32;

/// Sorted keys, of which those from table_rows on are tokens without a row, and tokens' numbers.
struct Sorted {
  std::uint32_t const* keys;
  std::int32_t const* numbers;
  index_t tokens, table_rows;

  __device__ bool has_row(index_t i) const { return i < tokens && keys[i] < table_rows; }
  /// Whether the first run of the segment from `begin` on began before it.
  __device__ bool has_head(index_t begin) const {
    return begin > 0 && has_row(begin) && keys[begin - 1] == keys[begin];
  }
};

__global__ void number_kernel(std::int32_t const* ids, std::uint32_t* keys, std::int32_t* numbers,
                              index_t first_row, index_t table_rows, index_t tokens) {
  index_t const t = static_cast<index_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (t >= tokens) return;
  index_t const row = ids[t] - first_row;
  bool const mine = ids[t] >= 0 && row >= 0 && row < table_rows;
  keys[t] = static_cast<std::uint32_t>(mine ? row : table_rows);  // others go last
  numbers[t] = static_cast<std::int32_t>(t);
}

/// What a thread adds up: 8 columns in 16 bytes, or 1 where vectors would cross blocks of features.
template <int Columns>
struct Part;
template <>
struct Part<kVector> {
  uint4 bits;
  __device__ void read(bf16_t const* from) { bits = dsr::kernels::read<true>(from, kVector); }
  __device__ void add_to(float (&sum)[kVector]) const {
    float x[kVector];
    unpack(bits, x);
#pragma unroll
    for (int i = 0; i < kVector; ++i) sum[i] += x[i];
  }
};
template <>
struct Part<1> {
  bf16_t bits;
  __device__ void read(bf16_t const* from) { bits = *from; }
  __device__ void add_to(float (&sum)[1]) const { sum[0] += to_float(bits); }
};

/// to += sum (or = sum), and sum = 0. Eight columns are two pieces of 16 bytes.
template <int Columns>
__device__ void flush(float* to, float (&sum)[Columns], bool adds) {
  if constexpr (Columns == kVector) {
    auto* const pieces = reinterpret_cast<float4*>(to);
    float4 old[2] = {};
    if (adds) {
      old[0] = pieces[0];
      old[1] = pieces[1];
    }
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      pieces[i] = make_float4(old[i].x + sum[4 * i], old[i].y + sum[4 * i + 1],
                              old[i].z + sum[4 * i + 2], old[i].w + sum[4 * i + 3]);
    }
  } else {
    to[0] = adds ? to[0] + sum[0] : sum[0];
  }
#pragma unroll
  for (int c = 0; c < Columns; ++c) sum[c] = 0;
}

template <int Columns>
__global__ void __launch_bounds__(kThreads)
    add_runs_kernel(Sorted sorted, bf16_t const* dx, float* dtable, float* heads, index_t hidden,
                    index_t width) {
  __shared__ std::uint32_t keys[kSegment + 1];
  __shared__ std::int32_t numbers[kSegment];
  index_t const begin = static_cast<index_t>(blockIdx.x) * kSegment;
  int const thread = static_cast<int>(threadIdx.x);
  if (thread < kSegment) {
    bool const has = sorted.has_row(begin + thread);
    keys[thread] = has ? sorted.keys[begin + thread] : 0xFFFFFFFFU;
    numbers[thread] = has ? sorted.numbers[begin + thread] : 0;
  }
  if (thread == kSegment) keys[kSegment] = 0xFFFFFFFFU;
  bool head = sorted.has_head(begin);
  __syncthreads();
  index_t const f = (static_cast<index_t>(blockIdx.y) * kThreads + thread) * Columns;
  if (f >= hidden) return;
  bf16_t const* const from = dx + f / width * sorted.tokens * width + f % width;
  float sum[Columns] = {};
  for (int i = 0; i < kSegment && keys[i] != 0xFFFFFFFFU; i += kFlight) {
    Part<Columns> parts[kFlight];
#pragma unroll
    for (int k = 0; k < kFlight; ++k) parts[k].read(from + numbers[i + k] * width);
#pragma unroll
    for (int k = 0; k < kFlight; ++k) {
      if (keys[i + k] == 0xFFFFFFFFU) continue;
      parts[k].add_to(sum);
      if (keys[i + k] == keys[i + k + 1]) continue;
      flush(head ? heads + blockIdx.x * hidden + f : dtable + keys[i + k] * hidden + f, sum, !head);
      head = false;
    }
  }
}

/// A block owns a run that goes on in later segments, and 128 columns: it adds their heads.
__global__ void __launch_bounds__(kThreads)
    add_heads_kernel(Sorted sorted, float const* heads, float* dtable, index_t hidden) {
  index_t const segment = blockIdx.x, begin = segment * kSegment;
  if (!sorted.has_head(begin)) return;
  std::uint32_t const key = sorted.keys[begin];
  index_t const before = begin - kSegment;
  if (sorted.keys[before] == key && sorted.has_head(before)) return;  // an earlier block's run
  index_t count = 1;
  for (int more = kThreads; more == kThreads; count += more) {
    index_t const next = (segment + count + threadIdx.x) * kSegment;
    more = __syncthreads_count(next < sorted.tokens && sorted.keys[next] == key);
  }
  index_t const f = static_cast<index_t>(blockIdx.y) * kThreads + threadIdx.x;
  if (f >= hidden) return;
  float sum = 0;
#pragma unroll 8
  for (index_t i = 0; i < count; ++i) sum += heads[(segment + i) * hidden + f];
  dtable[key * hidden + f] += sum;
}

int key_bits(index_t table_rows) {
  int bits = 1;
  while (table_rows >> bits != 0) ++bits;
  return bits;
}

std::size_t sort_bytes(index_t tokens) {
  std::size_t bytes = 0;
  cub::DeviceRadixSort::SortPairs(nullptr, bytes, static_cast<std::uint32_t const*>(nullptr),
                                  static_cast<std::uint32_t*>(nullptr),
                                  static_cast<std::int32_t const*>(nullptr),
                                  static_cast<std::int32_t*>(nullptr), static_cast<int>(tokens));
  return bytes;
}

index_t segments_of(index_t tokens) { return (tokens + kSegment - 1) / kSegment; }
index_t array_bytes(index_t tokens) { return (4 * tokens + 255) / 256 * 256; }
index_t head_bytes(index_t tokens, index_t hidden) {
  return (4 * segments_of(tokens) * hidden + 255) / 256 * 256;
}

}  // namespace

index_t embedding_backward_bytes(index_t tokens, index_t hidden) {
  return 4 * array_bytes(tokens) + head_bytes(tokens, hidden) +
         static_cast<index_t>(sort_bytes(tokens));
}

void embedding_backward(TokenGradients const& of, index_t first_row, index_t table_rows,
                        float* dtable, void* memory, stream_t stream) {
  auto* const base = static_cast<char*>(memory);
  auto const array = [&](int number) { return base + number * array_bytes(of.tokens); };
  auto* const keys = reinterpret_cast<std::uint32_t*>(array(0));
  auto* const sorted_keys = reinterpret_cast<std::uint32_t*>(array(1));
  auto* const numbers = reinterpret_cast<std::int32_t*>(array(2));
  auto* const order = reinterpret_cast<std::int32_t*>(array(3));
  auto* const heads = reinterpret_cast<float*>(array(4));
  number_kernel<<<static_cast<unsigned>((of.tokens + kThreads - 1) / kThreads), kThreads, 0,
                  stream>>>(of.ids, keys, numbers, first_row, table_rows, of.tokens);
  std::size_t bytes = sort_bytes(of.tokens);
  cub::DeviceRadixSort::SortPairs(array(4) + head_bytes(of.tokens, of.hidden), bytes, keys,
                                  sorted_keys, numbers, order, static_cast<int>(of.tokens), 0,
                                  key_bits(table_rows), stream);
  Sorted const sorted{sorted_keys, order, of.tokens, table_rows};
  index_t const width = of.hidden / of.parts;
  auto const grid = [&](index_t columns) {
    return dim3{static_cast<unsigned>(segments_of(of.tokens)),
                static_cast<unsigned>((of.hidden + columns - 1) / columns)};
  };
  if (width % kVector == 0 && aligned({of.dx, dtable})) {
    add_runs_kernel<kVector><<<grid(kThreads * kVector), kThreads, 0, stream>>>(
        sorted, of.dx, dtable, heads, of.hidden, width);
  } else {
    add_runs_kernel<1>
        <<<grid(kThreads), kThreads, 0, stream>>>(sorted, of.dx, dtable, heads, of.hidden, width);
  }
  add_heads_kernel<<<grid(kThreads), kThreads, 0, stream>>>(sorted, heads, dtable, of.hidden);
}

}  // namespace dsr::kernels
