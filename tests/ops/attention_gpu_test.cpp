// SPDX-License-Identifier: Apache-2.0
// Attention by cuDNN against the reference, and its gradient against the CPU's in f64, on the
// values that the GPU holds.
#include <algorithm>

#include "dsr/ops/algorithms.hpp"
#include "dsr/ops/attention.hpp"
#include "ops/gpu_array.hpp"
#include "reference/attention.hpp"
#include "support/text_of.hpp"

namespace dsr {
namespace {

using test::Array;
using test::GpuArray;
using test::kGpu;
using test::Values;

// Probabilities and their gradients are rounded to bf16 between the two products.
constexpr double kForward = 6e-3, kBackward = 1.5e-2, kLogSum = 2e-4;

struct Case {
  Size tokens, groups, queries, size;
  std::vector<int> starts;

  Shape qkv() const { return {tokens, groups, queries + 2, size}; }
  Shape y() const { return {tokens, groups * queries * size}; }
  Shape log_sum() const { return {groups * queries, tokens}; }
  reference::AttentionSizes sizes() const {
    auto const plain = [](Size x) { return static_cast<std::size_t>(x); };
    return {plain(tokens), plain(groups), plain(queries), plain(size),
            std::vector<std::size_t>(starts.begin(), starts.end())};
  }
};

std::vector<Case> const kCases = {
    {256, 3, 1, 64, {0, 128, 256}},       // the usual
    {512, 2, 1, 128, {0, 256, 512}},      // heads of 128
    {1024, 1, 1, 64, {0, 1024}},          // one long sequence
    {310, 2, 1, 40, {0, 100, 200, 300}},  // odd lengths, odd heads, padding behind
    {400,
     2,
     1,
     64,
     {16, 53, 153, 153, 253, 399}},           // unequal and empty sequences, padding at both ends
    {256, 2, 2, 64, {0, 64, 128, 192, 256}},  // grouped queries, a call for each group
    {256, 3, 2, 64, {0, 128, 256}},           // grouped queries, a call for each sequence
    {192, 1, 4, 72, {0, 64, 128, 192}},       // one group
};

struct Run {
  Values y, log_sum, dqkv;
};

Run run(Case const& c, GpuArray const& qkv, GpuArray const& dy, Stream& gpu) {
  Array const starts = test::integers(c.starts);
  GpuArray y{c.y(), DType::bf16, gpu}, log_sum{c.log_sum(), DType::f32, gpu},
      dqkv{c.qkv(), DType::bf16, gpu};
  attention(qkv.tensor, starts.tensor, y.tensor, log_sum.tensor, gpu);
  attention_backward(qkv.tensor, starts.tensor, y.tensor, log_sum.tensor, dy.tensor, dqkv.tensor,
                     gpu);
  return {y.values(gpu), log_sum.values(gpu), dqkv.values(gpu)};
}

Values backward_on_cpu(Case const& c, Values const& qkv_values, Values const& dy_values) {
  Stream cpu{kCpu};
  Array const qkv{c.qkv(), DType::f64, qkv_values}, dy{c.y(), DType::f64, dy_values},
      starts = test::integers(c.starts);
  Array y{c.y(), DType::f64}, log_sum{c.log_sum(), DType::f64}, dqkv{c.qkv(), DType::f64};
  attention(qkv.tensor, starts.tensor, y.tensor, log_sum.tensor, cpu);
  attention_backward(qkv.tensor, starts.tensor, y.tensor, log_sum.tensor, dy.tensor, dqkv.tensor,
                     cpu);
  return dqkv.values();
}

/// Rows outside every sequence.
bool padding_is_zero(Case const& c, Values const& rows) {
  auto const width = static_cast<std::ptrdiff_t>(rows.size()) / c.tokens;
  auto const zeros = [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
    return std::all_of(rows.begin() + begin * width, rows.begin() + end * width,
                       [](double x) { return x == 0; });
  };
  return zeros(0, c.starts.front()) && zeros(c.starts.back(), c.tokens);
}

}  // namespace

TEST_CASE("attention on a GPU equals the reference, forward and backward, with padding of zeros") {
  Stream gpu{kGpu};
  for (Determinism const deterministic : {Determinism::off, Determinism::on}) {
    choose_algorithms({.deterministic = deterministic}, gpu);
    for (Case const& c : kCases) {
      INFO(c.tokens << " tokens, " << c.groups << " groups of " << c.queries << ", D " << c.size
                    << ", deterministic " << (deterministic == Determinism::on));
      GpuArray const qkv = test::random_on_gpu(c.qkv(), DType::bf16, 1, gpu);
      GpuArray const dy = test::random_on_gpu(c.y(), DType::bf16, 2, gpu);
      Values y, log_sum;
      reference::attention(c.sizes(), qkv.values(gpu), y, log_sum);
      Run got = run(c, qkv, dy, gpu);
      CHECK(test::distance(got.y, y) <= kForward);
      CHECK(padding_is_zero(c, got.y));
      std::sort(log_sum.begin(), log_sum.end());  // cuDNN's order is its own
      std::sort(got.log_sum.begin(), got.log_sum.end());
      CHECK(test::distance(got.log_sum, log_sum) <= kLogSum);
      CHECK(test::distance(got.dqkv, backward_on_cpu(c, qkv.values(gpu), dy.values(gpu))) <=
            kBackward);
      CHECK(padding_is_zero(c, got.dqkv));
    }
  }
}

TEST_CASE("attention on a GPU gives the same bits twice in deterministic mode") {
  Stream gpu{kGpu};
  choose_algorithms({.deterministic = Determinism::on}, gpu);
  for (Case const& c :
       {Case{4096, 4, 1, 128, {0, 2048, 4096}}, Case{2048, 6, 1, 64, {0, 1024, 2048}}, kCases[6]}) {
    GpuArray const qkv = test::random_on_gpu(c.qkv(), DType::bf16, 1, gpu);
    GpuArray const dy = test::random_on_gpu(c.y(), DType::bf16, 2, gpu);
    Run const first = run(c, qkv, dy, gpu), second = run(c, qkv, dy, gpu);
    CHECK(first.y == second.y);
    CHECK(first.log_sum == second.log_sum);
    CHECK(first.dqkv == second.dqkv);
  }
}

TEST_CASE("attention on a GPU refuses types and head sizes that cuDNN does not take") {
  Stream gpu{kGpu};
  auto const refusal = [&](DType type, Size size) {
    Case const c{16, 1, 1, size, {0, 16}};
    Array const starts = test::integers(c.starts);
    GpuArray const qkv = test::random_on_gpu(c.qkv(), type, 1, gpu);
    GpuArray y{c.y(), type, gpu}, log_sum{c.log_sum(), DType::f32, gpu};
    return test::text_of<InvalidArgument>(
        [&] { attention(qkv.tensor, starts.tensor, y.tensor, log_sum.tensor, gpu); });
  };
  CHECK(test::contains(refusal(DType::f32, 64), "f32 on cuda, allowed bf16"));
  CHECK(test::contains(refusal(DType::bf16, 36), "D = 36"));
  CHECK(test::contains(refusal(DType::bf16, 264), "multiples of 8"));
}

}  // namespace dsr
