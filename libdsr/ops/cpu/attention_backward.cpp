// SPDX-License-Identifier: Apache-2.0
/// With p = exp(q·kᵀ/√D − log_sum) computed again, δ = Σ dy·y over a head's features and ds =
/// p·(dy·vᵀ − δ)/√D: dv = pᵀ·dy, dk = dsᵀ·q, dq = ds·k. A task owns a (sequence, group): its query
/// heads add into one dk and dv in a fixed order. Each block of keys meets every head's blocks of
/// queries at or below the diagonal.
#include "libdsr/ops/cpu/attention_blocks.hpp"
#include "libdsr/ops/cpu/cpu_backend.hpp"
#include "libdsr/ops/cpu/vector_math.hpp"

namespace dsr::detail {
namespace {

template <class T>
struct Operands {
  T const *qkv, *y, *log_sum, *dy;
  T* dqkv;
};

template <class T>
class Backward {
 public:
  Backward(Heads const& heads, Operands<T> const& operands)
      : heads_(heads), width_(padded<T>(heads.size)), scale_(static_cast<T>(heads.scale())),
        operands_(operands) {}

  void task(Size sequence, Size group) const {
    Size const start = heads_.starts[sequence], length = heads_.starts[sequence + 1] - start;
    Blocks const at{heads_.size, width_};
    Size const stride = heads_.qkv_stride(), key_slot = heads_.slot(group, heads_.queries);
    for (Size key = 0; key < length; key += kBlock) {
      Size const keys = std::min(kBlock, length - key), row = (start + key) * stride;
      T const *const k = operands_.qkv + row + key_slot, *const v = k + heads_.size;
      pack(k, stride, keys, heads_.size, T{1}, {at.k, width_});
      pack_turned(k, stride, keys, heads_.size, at.k_turned);
      pack_turned(v, stride, keys, heads_.size, at.v_turned);
      std::fill_n(at.dk, kBlock * width_, T{0});
      std::fill_n(at.dv, kBlock * width_, T{0});
      for (Size head = 0; head < heads_.queries; ++head) {
        for (Size query = key; query < length; query += kBlock) {
          Size const rows = std::min(kBlock, length - query);
          load(at, start + query, group, head, rows);
          meet(at, rows, {keys, query == key});
          store(at.dq, rows, heads_.slot(group, head), start + query,
                key == 0 ? Into::overwrite : Into::add);
        }
      }
      store(at.dk, keys, key_slot, start + key, Into::overwrite);
      store(at.dv, keys, key_slot + heads_.size, start + key, Into::overwrite);
    }
  }

 private:
  struct Blocks {
    T *k, *k_turned, *v_turned, *dk, *dv, *q, *dy, *dq, *p, *ds, *delta, *log_sum;
    Blocks(Size size, Size width) {
      Workspace<T> space{kBlock * (2 * size + 6 * width + 2 * kBlock + 2)};
      for (T** block : {&k, &dk, &dv, &q, &dy, &dq}) *block = space.take(kBlock * width);
      for (T** block : {&k_turned, &v_turned}) *block = space.take(kBlock * size);
      for (T** block : {&p, &ds}) *block = space.take(kBlock * kBlock);
      for (T** row : {&delta, &log_sum}) *row = space.take(kBlock);
    }
  };

  /// A block of one head's queries, their output gradients, δ and log-sums.
  void load(Blocks const& at, Size token, Size group, Size head, Size rows) const {
    Size const index = group * heads_.queries + head;
    Size const y_at = token * heads_.y_stride() + index * heads_.size;
    pack(operands_.qkv + token * heads_.qkv_stride() + heads_.slot(group, head),
         heads_.qkv_stride(), rows, heads_.size, T{1}, {at.q, width_});
    pack(operands_.dy + y_at, heads_.y_stride(), rows, heads_.size, T{1}, {at.dy, width_});
    std::fill_n(at.delta, kBlock, T{0});
    std::fill_n(at.log_sum, kBlock, T{0});
    for (Size r = 0; r < rows; ++r) {
      T const* const y = operands_.y + y_at + r * heads_.y_stride();
      T const* const dy = at.dy + r * width_;
      T sum = 0;
#pragma omp simd reduction(+ : sum)
      for (Size d = 0; d < heads_.size; ++d) sum += dy[d] * y[d];
      at.delta[r] = sum;
      at.log_sum[r] = operands_.log_sum[index * heads_.tokens + token + r];
    }
  }

  void meet(Blocks const& at, Size rows, Sight const& sight) const {
    for (Size r = 0; r < rows; r += kTileRows) {
      weigh(at, r, sight);
      multiply_rows<T>({at.ds + r * kBlock, kBlock, 1}, {at.k, width_},
                       {at.dq + r * width_, width_}, {0, sight.of_tile(r), width_},
                       Into::overwrite);
    }
    for (Size key = 0; key < sight.keys; key += kTileRows) {
      Extent const extent{sight.first_row(key), rows, width_};
      multiply_rows<T>({at.p + key, 1, kBlock}, {at.dy, width_}, {at.dv + key * width_, width_},
                       extent, Into::add);
      multiply_rows<T>({at.ds + key, 1, kBlock}, {at.q, width_}, {at.dk + key * width_, width_},
                       extent, Into::add);
    }
  }

  /// p and ds of one tile of queries; zeros where a query does not see a key.
  void weigh(Blocks const& at, Size first, Sight const& sight) const {
    Size const columns = round_up(sight.of_tile(first), std::max<Size>(kLanes<T>, kTileRows));
    T *const p = at.p + first * kBlock, *const ds = at.ds + first * kBlock;
    Extent const extent{0, heads_.size, columns};
    multiply_rows<T>({at.q + first * width_, width_, 1}, {at.k_turned, kBlock}, {p, kBlock}, extent,
                     Into::overwrite);
    multiply_rows<T>({at.dy + first * width_, width_, 1}, {at.v_turned, kBlock}, {ds, kBlock},
                     extent, Into::overwrite);
    for (Size r = 0; r < kTileRows; ++r) {
      Size const seen = sight.of_row(first + r);
      T *const weight = p + r * kBlock, *const slope = ds + r * kBlock;
      T const log_sum = at.log_sum[first + r], delta = at.delta[first + r], scale = scale_;
#pragma omp simd
      for (Size n = 0; n < columns; ++n) {
        weight[n] = exponential(weight[n] * scale - log_sum);
        slope[n] = weight[n] * (slope[n] - delta) * scale;
      }
      std::fill(weight + seen, weight + columns, T{0});
      std::fill(slope + seen, slope + columns, T{0});
    }
  }

  void store(T const* from, Size rows, Size offset, Size token, Into into) const {
    for (Size r = 0; r < rows; ++r) {
      T* const to = operands_.dqkv + (token + r) * heads_.qkv_stride() + offset;
      T const* const line = from + r * width_;
      if (into == Into::add) {
#pragma omp simd
        for (Size d = 0; d < heads_.size; ++d) to[d] += line[d];
      } else {
        std::copy_n(line, heads_.size, to);
      }
    }
  }

  Heads heads_;
  Size width_;
  T scale_;
  Operands<T> operands_;
};

template <class T>
void backward(Heads const& heads, Operands<T> const& operands) {
  Backward<T> const run{heads, operands};
  Size const tasks = heads.sequences * heads.groups;
#pragma omp parallel for schedule(dynamic) if (heads.tokens * heads.y_stride() > 2048)
  for (Size task = 0; task < tasks; ++task) run.task(task / heads.groups, task % heads.groups);
  zero_padding(heads, heads.qkv_stride(), operands.dqkv);
}

}  // namespace

void CpuBackend::attention_backward(Tensor qkv, Tensor sequence_starts, Tensor y, Tensor log_sum,
                                    Tensor dy, Tensor dqkv, Stream& stream) const {
  launch(stream, qkv, [=](auto zero) {
    using T = decltype(zero);
    backward<T>(Heads{qkv, sequence_starts}, {qkv.data<T>(), y.data<T>(), log_sum.data<T>(),
                                              dy.data<T>(), dqkv.data<T>()});
  });
}

}  // namespace dsr::detail
