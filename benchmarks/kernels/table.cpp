// SPDX-License-Identifier: Apache-2.0
#include "benchmarks/kernels/table.hpp"

#include <algorithm>
#include <dsr/core/transfer.hpp>
#include <dsr/ops/cross_entropy.hpp>
#include <dsr/ops/elementwise.hpp>
#include <dsr/ops/embedding.hpp>
#include <dsr/ops/norm.hpp>
#include <dsr/ops/norm_gelu.hpp>
#include <dsr/ops/optimize.hpp>
#include <random>
#include <unordered_set>

namespace benchmark {

using dsr::DType;
using dsr::Shape;
using dsr::Size;
using dsr::Stream;
using dsr::Tensor;

namespace {

constexpr Size kLogitRows = 8192, kVocabulary = 50304;

double in_bytes(Size count, Size bytes) {
  return static_cast<double>(count) * static_cast<double>(bytes);
}

Operand bf16(Shape const& shape) { return {shape, DType::bf16}; }
Operand f32(Shape const& shape) { return {shape, DType::f32}; }

/// What every family's entries are made from.
struct Maker {
  Sizes sizes;
  Memory const& memory;
  Stream& stream;
  std::vector<Kernel> all = {};

  Shape shape() const { return {sizes.rows, sizes.features}; }
  Size elements() const { return sizes.rows * sizes.features; }

  std::shared_ptr<Own> zeros(Shape const& shape, DType type) const {
    return std::make_shared<Own>(shape, type, stream);
  }

  /// An entry whose call(operands) gets a set of operands.
  template <class F>
  void add(std::string name, double bytes, std::vector<Operand> const& operands, F call,
           Bound bound = Bound::memory) {
    all.push_back({std::move(name), bytes,
                   [=, sets = memory.sets(operands)](Size number) { call(in_turn(sets, number)); },
                   bound});
  }
};

void add_elementwise(Maker& to) {
  Shape const shape = to.shape();
  Size const n = to.elements();
  Stream& s = to.stream;
  to.add("add", in_bytes(n, 6), {bf16(shape), bf16(shape), bf16(shape)},
         [&s](Operands const& of) { add(of[0], of[1], of[2], s); });
  to.add("scale", in_bytes(n, 4), {bf16(shape)}, [&s](Operands const& of) { scale(of[0], 1, s); });
  to.add("fill", in_bytes(n, 2), {bf16(shape)}, [&s](Operands const& of) { fill(of[0], 1, s); });
  auto const bias = to.zeros({to.sizes.features}, DType::bf16);
  to.add("add_bias", in_bytes(n, 4), {bf16(shape)},
         [=, &s](Operands const& of) { add_bias(of[0], bias->tensor, s); });
  auto const dbias = to.zeros({to.sizes.features}, DType::f32);
  to.add("add_bias_gradient", in_bytes(n, 2), {bf16(shape)},
         [=, &s](Operands const& of) { add_bias_gradient(of[0], dbias->tensor, s); });

  std::vector<std::int32_t> places(static_cast<std::size_t>(to.sizes.rows));
  for (std::size_t i = 0; i < places.size(); ++i) places[i] = static_cast<std::int32_t>(i);
  auto const rows = std::make_shared<Own>(places, s);
  to.add("dropout", in_bytes(n, 4), {bf16(shape), bf16(shape)}, [=, &s](Operands const& of) {
    dropout(of[0], {0.1, {1, 2}, rows->tensor, rows->tensor, 0}, of[1], s);
  });
}

void add_gelu(Maker& to) {
  Size const features = 4 * to.sizes.features, n = to.sizes.rows * features;
  Shape const shape{to.sizes.rows, features};
  Stream& s = to.stream;
  auto const bias = to.zeros({features}, DType::bf16), dbias = to.zeros({features}, DType::f32);
  to.add("gelu, bias", in_bytes(n, 6), {bf16(shape), bf16(shape)},
         [=, &s](Operands const& of) { gelu(of[0], bias->tensor, of[1], s); });
  to.add("gelu", in_bytes(n, 4), {bf16(shape), bf16(shape)},
         [=, &s](Operands const& of) { gelu(of[0], {}, of[1], s); });
  std::vector<Operand> const three{bf16(shape), bf16(shape), bf16(shape)};
  to.add("gelu_backward, bias", in_bytes(n, 6), three,
         [=, &s](Operands const& of) { gelu_backward(of[0], of[1], of[2], dbias->tensor, s); });
  to.add("gelu_backward", in_bytes(n, 6), three,
         [=, &s](Operands const& of) { gelu_backward(of[0], of[1], of[2], {}, s); });
}

void add_norm(Maker& to) {
  Size const rows = to.sizes.rows, n = to.elements();
  double const pair = in_bytes(rows, 8);
  Operand const x = bf16(to.shape()), two = f32({rows, 2});
  Stream& s = to.stream;
  auto const gamma = to.zeros({to.sizes.features}, DType::bf16), beta = gamma;
  auto const dgamma = to.zeros({to.sizes.features}, DType::f32);
  auto const dbeta = to.zeros({to.sizes.features}, DType::f32);
  to.add("residual_norm", in_bytes(n, 8) + pair, {x, x, two, x}, [=, &s](Operands const& of) {
    residual_norm(of[0], of[1], gamma->tensor, beta->tensor, 1e-5, of[2], of[3], s);
  });
  to.add("residual_moments", in_bytes(n, 6) + pair, {x, x, two},
         [=, &s](Operands const& of) { residual_moments(of[0], of[1], of[2], s); });
  to.add(
      "merge_moments, 8 parts", 9 * pair, {f32({8, rows, 2}), two},
      [=, &s](Operands const& of) { merge_moments(of[0], of[0].size(1), 1e-5, of[1], s); },
      Bound::latency);
  to.add("normalize", in_bytes(n, 4) + pair, {x, two, x}, [=, &s](Operands const& of) {
    normalize(of[0], of[1], gamma->tensor, beta->tensor, of[2], s);
  });
  to.add("norm_backward_sums", in_bytes(n, 4) + 2 * pair, {x, x, two, two},
         [=, &s](Operands const& of) {
           norm_backward_sums(of[0], of[1], of[2], gamma->tensor, of[3], dgamma->tensor,
                              dbeta->tensor, s);
         });
  to.add("norm_backward", in_bytes(n, 8) + 2 * pair, {x, x, two, two, x, x},
         [=, &s](Operands const& of) {
           norm_backward(of[0], of[1], of[2], gamma->tensor, of[3], of[0].size(1), of[4], of[5], s);
         });
  to.add("residual_norm_backward", in_bytes(n, 8) + pair, {x, x, two, x, x},
         [=, &s](Operands const& of) {
           residual_norm_backward(of[0], of[1], of[2], gamma->tensor, of[3], of[4], dgamma->tensor,
                                  dbeta->tensor, s);
         });
  to.add("norm_gelu", in_bytes(n, 4) + pair, {x, two, x}, [=, &s](Operands const& of) {
    norm_gelu(of[0], gamma->tensor, beta->tensor, 1e-5, of[1], of[2], s);
  });
  to.add("norm_gelu_backward", in_bytes(n, 6) + pair, {x, x, two, x}, [=, &s](Operands const& of) {
    norm_gelu_backward(of[0], of[1], of[2], gamma->tensor, beta->tensor, of[3], dgamma->tensor,
                       dbeta->tensor, s);
  });
}

std::vector<std::int32_t> random_ids(Size count, Size below) {
  std::mt19937 engine{2};
  std::vector<std::int32_t> ids(static_cast<std::size_t>(count));
  for (std::int32_t& id : ids) id = static_cast<std::int32_t>(engine() % below);
  return ids;
}

void add_cross_entropy(Maker& to) {
  Operand const logits = bf16({kLogitRows, kVocabulary}), top = f32({kLogitRows}),
                sums = f32({kLogitRows, 2});
  Size const n = kLogitRows * kVocabulary;
  Stream& s = to.stream;
  auto const targets = std::make_shared<Own>(random_ids(kLogitRows, kVocabulary), s);
  auto const loss = to.zeros({1}, DType::f64);
  to.add("logits_max", in_bytes(n, 2), {logits, top},
         [=, &s](Operands const& of) { logits_max(of[0], kVocabulary, of[1], s); });
  to.add("logits_exp", in_bytes(n, 4), {logits, top, sums}, [=, &s](Operands const& of) {
    logits_exp(of[0], kVocabulary, of[1], targets->tensor, 0, of[2], s);
  });
  to.add("logits_gradient", in_bytes(n, 4), {logits, sums}, [=, &s](Operands const& of) {
    logits_gradient(of[0], kVocabulary, of[1], targets->tensor, 0, s);
  });
  to.add(
      "add_cross_entropy", in_bytes(kLogitRows, 12), {sums},
      [=, &s](Operands const& of) { add_cross_entropy(of[0], targets->tensor, loss->tensor, s); },
      Bound::latency);
  to.add("cross_entropy", in_bytes(n, 4), {logits, sums}, [=, &s](Operands const& of) {
    cross_entropy(of[0], kVocabulary, targets->tensor, of[1], loss->tensor, s);
  });
}

void add_embedding(Maker& to) {
  Size const tokens = to.sizes.rows, hidden = to.sizes.features, n = to.elements();
  Size const positions = std::min<Size>(tokens, 1024);
  auto const ids = random_ids(tokens, kVocabulary);
  std::vector<std::int32_t> places(ids.size());
  for (std::size_t i = 0; i < places.size(); ++i)
    places[i] = static_cast<std::int32_t>(static_cast<Size>(i) % positions);
  Stream& s = to.stream;
  auto const token = std::make_shared<Own>(ids, s), place = std::make_shared<Own>(places, s);
  // Rows that come more than once are read, or read and written, once.
  Size const rows = std::ssize(std::unordered_set<std::int32_t>(ids.begin(), ids.end()));
  Operand const table = bf16({kVocabulary, hidden}), out = bf16({1, tokens, hidden});
  double const once = in_bytes(n, 2), row = in_bytes(hidden, 2), numbers = in_bytes(tokens, 4);
  to.add("embedding", 2 * once + static_cast<double>(rows) * row + numbers, {table, out},
         [=, &s](Operands const& of) { embedding(token->tensor, of[0], 0, of[1], s); });
  to.add("embedding_sum", once + static_cast<double>(rows + positions) * row + 2 * numbers,
         {table, bf16({positions, hidden}), out}, [=, &s](Operands const& of) {
           embedding_sum({token->tensor, of[0], 0}, {place->tensor, of[1], 0}, of[2], s);
         });
  to.add("embedding_backward, tokens", once + static_cast<double>(rows) * 4 * row + numbers,
         {out, f32({kVocabulary, hidden})},
         [=, &s](Operands const& of) { embedding_backward(token->tensor, 0, of[0], of[1], s); });
  to.add("embedding_backward, positions", once + static_cast<double>(positions) * 4 * row + numbers,
         {out, f32({positions, hidden})},
         [=, &s](Operands const& of) { embedding_backward(place->tensor, 0, of[0], of[1], s); });
}

void add_optimize(Maker& to) {
  Size const n = to.elements();
  Operand const x = f32({n});
  Stream& s = to.stream;
  auto const total = to.zeros({1}, DType::f64);
  to.add("add_sum_of_squares", in_bytes(n, 4), {x},
         [=, &s](Operands const& of) { add_sum_of_squares(of[0], total->tensor, s); });
  std::vector<Operand> const five{x, x, x, x, bf16({n})};
  auto const with = [&](std::string const& name, Size bytes, dsr::GradientAfter after) {
    dsr::AdamWStep const step{.lr = 1e-3, .weight_decay = 0.1, .gradient_after = after};
    to.add(name, in_bytes(n, bytes), five,
           [=, &s](Operands const& of) { adamw(of[0], of[1], of[2], of[3], step, of[4], s); });
    // Second moments are not negative.
    to.all.back().prepare = [&s, sets = to.memory.sets(five)] {
      for (Operands const& of : sets) zero(of[3], s);
    };
  };
  with("adamw, master", 30, dsr::GradientAfter::keep);
  with("adamw, master, zeroing", 34, dsr::GradientAfter::zero);
}

}  // namespace

Size memory_bytes(Sizes const& sizes) {
  Size const elements = sizes.rows * sizes.features;
  Size const tables = kVocabulary * sizes.features * 4 + elements * 4;
  Size const one = std::max({24 * elements, tables, kLogitRows * kVocabulary * 2, Size{2} << 30});
  return 2 * one + (Size{1} << 20);
}

std::vector<Kernel> kernels(Sizes const& sizes, Memory const& memory, Stream& stream) {
  Maker to{sizes, memory, stream};
  add_elementwise(to);
  add_gelu(to);
  add_norm(to);
  add_cross_entropy(to);
  add_embedding(to);
  add_optimize(to);
  return std::move(to.all);
}

}  // namespace benchmark
