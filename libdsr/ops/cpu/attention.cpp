// SPDX-License-Identifier: Apache-2.0
/// y = softmax(q·kᵀ/√D)·v, a task for each (sequence, head, block of queries). A task meets its
/// keys block by block, keeping each row's maximum m, sum l of exp(score − m) and unnormalised
/// output; a larger maximum rescales both. Tiles of scores above the diagonal are skipped.
#include <limits>

#include "libdsr/ops/cpu/attention_blocks.hpp"
#include "libdsr/ops/cpu/cpu_backend.hpp"
#include "libdsr/ops/cpu/vector_math.hpp"

namespace dsr::detail {
namespace {

template <class T>
class Forward {
 public:
  Forward(Heads const& heads, T const* qkv, T* y, T* log_sum)
      : heads_(heads), width_(padded<T>(heads.size)), qkv_(qkv), y_(y), log_sum_(log_sum) {}

  void task(Size sequence, Size head, Size block) const {
    Size const start = heads_.starts[sequence], length = heads_.starts[sequence + 1] - start;
    Size const first = block * kBlock;
    if (first >= length) return;
    Size const rows = std::min(kBlock, length - first), group = head / heads_.queries;
    Blocks const at{heads_.size, width_};
    T const* const row = qkv_ + start * heads_.qkv_stride();
    pack(row + first * heads_.qkv_stride() + heads_.slot(group, head % heads_.queries),
         heads_.qkv_stride(), rows, heads_.size, static_cast<T>(heads_.scale()),
         {at.q, heads_.size});
    std::fill_n(at.out, kBlock * width_, T{0});
    std::fill_n(at.top, kBlock, -std::numeric_limits<T>::infinity());
    std::fill_n(at.sum, kBlock, T{0});
    for (Size key = 0; key <= first; key += kBlock) {
      T const* const from = row + key * heads_.qkv_stride();
      Sight const sight{std::min(kBlock, length - key), key == first};
      pack_turned(from + heads_.slot(group, heads_.queries), heads_.qkv_stride(), sight.keys,
                  heads_.size, at.keys);
      pack(from + heads_.slot(group, heads_.queries + 1), heads_.qkv_stride(), sight.keys,
           heads_.size, T{1}, {at.values, width_});
      for (Size r = 0; r < rows; r += kTileRows) meet(at, r, sight);
    }
    write(at, start + first, head, rows);
  }

 private:
  struct Blocks {
    T *q, *keys, *values, *scores, *out, *top, *sum;
    Blocks(Size size, Size width) {
      Workspace<T> space{kBlock * (2 * size + 2 * width + kBlock + 2)};
      q = space.take(kBlock * size);
      keys = space.take(kBlock * size);
      values = space.take(kBlock * width);
      scores = space.take(kBlock * kBlock);
      out = space.take(kBlock * width);
      top = space.take(kBlock);
      sum = space.take(kBlock);
    }
  };

  /// One tile of queries meets one block of keys.
  void meet(Blocks const& at, Size first, Sight const& sight) const {
    Size const seen = sight.of_tile(first), columns = round_up(seen, kLanes<T>);
    T* const scores = at.scores + first * kBlock;
    multiply_rows<T>({at.q + first * heads_.size, heads_.size, 1}, {at.keys, kBlock},
                     {scores, kBlock}, {0, heads_.size, columns}, Into::overwrite);
    for (Size r = 0; r < kTileRows; ++r) {
      T* const row = scores + r * kBlock;
      std::fill(row + sight.of_row(first + r), row + columns, -std::numeric_limits<T>::infinity());
      weigh(row, columns, at.top[first + r], at.sum[first + r],
            at.out + (first + r) * width_);
    }
    multiply_rows<T>({scores, kBlock, 1}, {at.values, width_}, {at.out + first * width_, width_},
                     {0, seen, width_}, Into::add);
  }

  /// Scores → weights exp(score − top) with the row's new maximum; its sum and output follow.
  void weigh(T* row, Size columns, T& top, T& sum, T* out) const {
    T most = top, added = 0;
#pragma omp simd reduction(max : most)
    for (Size n = 0; n < columns; ++n) most = row[n] > most ? row[n] : most;
#pragma omp simd reduction(+ : added)
    for (Size n = 0; n < columns; ++n) {
      row[n] = exponential(row[n] - most);
      added += row[n];
    }
    T const kept = exponential(top - most);
#pragma omp simd
    for (Size d = 0; d < width_; ++d) out[d] *= kept;
    sum = sum * kept + added;
    top = most;
  }

  void write(Blocks const& at, Size token, Size head, Size rows) const {
    for (Size r = 0; r < rows; ++r) {
      T const factor = T{1} / at.sum[r];
      T* const to = y_ + (token + r) * heads_.y_stride() + head * heads_.size;
      T const* const from = at.out + r * width_;
#pragma omp simd
      for (Size d = 0; d < heads_.size; ++d) to[d] = from[d] * factor;
      log_sum_[head * heads_.tokens + token + r] = at.top[r] + std::log(at.sum[r]);
    }
  }

  Heads heads_;
  Size width_;
  T const* qkv_;
  T *y_, *log_sum_;
};

template <class T>
void forward(Heads const& heads, T const* qkv, T* y, T* log_sum) {
  Forward<T> const run{heads, qkv, y, log_sum};
  Size const blocks = ceil_div(heads.longest(), kBlock), count = heads.count();
  Size const tasks = heads.sequences * count * blocks;
#pragma omp parallel for schedule(dynamic) if (heads.tokens * heads.y_stride() > 2048)
  for (Size task = 0; task < tasks; ++task) {
    run.task(task / blocks / count, task / blocks % count, task % blocks);
  }
  zero_padding(heads, heads.y_stride(), y);
  for (Size head = 0; head < count; ++head) zero_padding(heads, 1, log_sum + head * heads.tokens);
}

}  // namespace

void CpuBackend::attention(Tensor qkv, Tensor sequence_starts, Tensor y, Tensor log_sum,
                           Stream& stream) const {
  launch(stream, qkv, [=](auto zero) {
    using T = decltype(zero);
    forward<T>(Heads{qkv, sequence_starts}, qkv.data<T>(), y.data<T>(), log_sum.data<T>());
  });
}

}  // namespace dsr::detail
