// SPDX-License-Identifier: Apache-2.0
/// Own kernels on CUDA against the CPU's ops in f64 on the same rounded inputs, where their paths
/// part: rows of one warp and of many pieces, sizes and addresses that no vector divides, runs of
/// equal ids that cross segments, many slices of rows. Bounds: 4e-3 is one rounding of an output to
/// bf16.
#include <cuda_runtime_api.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "dsr/core/cuda.hpp"
#include "dsr/ops/elementwise.hpp"
#include "dsr/ops/embedding.hpp"
#include "dsr/ops/norm_gelu.hpp"
#include "dsr/ops/optimize.hpp"
#include "ops/gpu_array.hpp"

namespace dsr {
namespace {

using test::Array;
using test::distance;
using test::GpuArray;
using test::on_host;
using test::random_on_gpu;
using test::Values;

constexpr double kRounded = 4e-3, kSummed = 2e-5;

/// Integers on the device.
struct GpuIntegers {
  GpuIntegers(std::vector<int> const& from, Stream& stream)
      : host(test::integers(from)),
        memory(4 * std::ssize(from), test::kGpu),
        tensor(memory.data(), host.tensor.shape(), DType::i32, test::kGpu) {
    transfer(host.tensor, tensor, stream);
    stream.synchronize();
  }
  Array host;
  Buffer memory;
  Tensor tensor;
};

/// All but the first elements: addresses that are no multiple of 16 bytes.
Tensor without_first(GpuArray const& x, Size skip = 1) {
  Tensor const flat = x.tensor.reshape({x.tensor.elements()});
  return flat.slice(0, skip, x.tensor.elements());
}

Values tail(Values const& all, Size skip = 1) { return {all.begin() + skip, all.end()}; }

std::vector<Shape> shapes() {
  return {{3, 8},     {37, 100},  {70, 129},  {300, 768}, {130, 2048},
          {20, 5003}, {77, 4096}, {9, 12288}, {5, 16384}};
}

}  // namespace

TEST_CASE("norm_gelu and its gradient on CUDA") {
  Stream stream{test::kGpu}, cpu{kCpu};
  for (Shape const& shape : shapes()) {
    INFO(to_string(shape));
    Size const rows = shape[0], features = shape[1];
    GpuArray const x = random_on_gpu(shape, DType::bf16, 1, stream);
    GpuArray const gamma = random_on_gpu({features}, DType::bf16, 2, stream);
    GpuArray const beta = random_on_gpu({features}, DType::bf16, 3, stream);
    GpuArray const dy = random_on_gpu(shape, DType::bf16, 4, stream);
    GpuArray y{shape, DType::bf16, stream}, dx{shape, DType::bf16, stream};
    GpuArray statistics{{rows, 2}, DType::f32, stream};
    GpuArray dgamma = random_on_gpu({features}, DType::f32, 5, stream);
    GpuArray dbeta = random_on_gpu({features}, DType::f32, 6, stream);
    Array const hx = on_host(x, stream), hgamma = on_host(gamma, stream);
    Array const hbeta = on_host(beta, stream), hdy = on_host(dy, stream);
    Array hy{shape, DType::f64}, hdx{shape, DType::f64}, hstatistics{{rows, 2}, DType::f64};
    Array hdgamma = on_host(dgamma, stream), hdbeta = on_host(dbeta, stream);

    norm_gelu(x.tensor, gamma.tensor, beta.tensor, 1e-5, statistics.tensor, y.tensor, stream);
    norm_gelu(hx.tensor, hgamma.tensor, hbeta.tensor, 1e-5, hstatistics.tensor, hy.tensor, cpu);
    CHECK(distance(statistics.values(stream), hstatistics.values()) <= kSummed);
    CHECK(distance(y.values(stream), hy.values()) <= kRounded);
    norm_gelu_backward(dy.tensor, x.tensor, statistics.tensor, gamma.tensor, beta.tensor, dx.tensor,
                       dgamma.tensor, dbeta.tensor, stream);
    norm_gelu_backward(hdy.tensor, hx.tensor, hstatistics.tensor, hgamma.tensor, hbeta.tensor,
                       hdx.tensor, hdgamma.tensor, hdbeta.tensor, cpu);
    CHECK(distance(dx.values(stream), hdx.values()) <= kRounded);
    CHECK(distance(dgamma.values(stream), hdgamma.values()) <= 1e-4);
    CHECK(distance(dbeta.values(stream), hdbeta.values()) <= 1e-4);

    norm_gelu(x.tensor, gamma.tensor, {}, 1e-5, statistics.tensor, y.tensor, stream);
    norm_gelu(hx.tensor, hgamma.tensor, {}, 1e-5, hstatistics.tensor, hy.tensor, cpu);
    CHECK(distance(y.values(stream), hy.values()) <= kRounded);
    norm_gelu_backward(dy.tensor, x.tensor, statistics.tensor, gamma.tensor, {}, dy.tensor,
                       dgamma.tensor, {}, stream);
    norm_gelu_backward(hdy.tensor, hx.tensor, hstatistics.tensor, hgamma.tensor, {}, hdx.tensor,
                       hdgamma.tensor, {}, cpu);
    CHECK(distance(dy.values(stream), hdx.values()) <= kRounded);
    CHECK(distance(dgamma.values(stream), hdgamma.values()) <= 1e-4);
  }
}

TEST_CASE("norm_gelu on CUDA has the same bits twice, and refuses rows that no block holds") {
  Stream stream{test::kGpu};
  Shape const shape{3000, 1536};
  GpuArray const x = random_on_gpu(shape, DType::bf16, 1, stream);
  GpuArray const gamma = random_on_gpu({1536}, DType::bf16, 2, stream);
  GpuArray const dy = random_on_gpu(shape, DType::bf16, 3, stream);
  std::vector<Values> runs;
  for (int i = 0; i < 2; ++i) {
    GpuArray y{shape, DType::bf16, stream}, statistics{{3000, 2}, DType::f32, stream};
    GpuArray dgamma{{1536}, DType::f32, Values(1536, 0), stream};
    norm_gelu(x.tensor, gamma.tensor, {}, 1e-5, statistics.tensor, y.tensor, stream);
    norm_gelu_backward(dy.tensor, x.tensor, statistics.tensor, gamma.tensor, {}, y.tensor,
                       dgamma.tensor, {}, stream);
    runs.push_back(dgamma.values(stream));
  }
  CHECK(runs[0] == runs[1]);
  GpuArray const wide{{1, 16392}, DType::bf16, stream}, row{{16392}, DType::bf16, stream};
  GpuArray const pair{{1, 2}, DType::f32, stream};
  test::check_refused("norm_gelu on cuda", [&] {
    norm_gelu(wide.tensor, row.tensor, {}, 1e-5, pair.tensor, wide.tensor, stream);
  });
}

TEST_CASE("embedding_sum on CUDA, in blocks, with rows elsewhere") {
  Stream stream{test::kGpu}, cpu{kCpu};
  Size const tokens = 501;
  std::vector<int> ids, places;
  for (int t = 0; t < tokens; ++t) {
    ids.push_back(t % 50 == 7 ? -1 : t * t % 61);
    places.push_back(t % 17);
  }
  GpuIntegers const id{ids, stream}, place{places, stream};
  for (Size parts : {1, 3}) {
    for (Size hidden : {48, 384, 3072, 51}) {
      Shape const blocked{parts, tokens, hidden / parts};
      GpuArray const table = random_on_gpu({40, hidden}, DType::bf16, 1, stream);
      GpuArray const other = random_on_gpu({12, hidden}, DType::bf16, 2, stream);
      GpuArray const out{blocked, DType::bf16, stream};
      Array const htable = on_host(table, stream), hother = on_host(other, stream);
      Array hout{blocked, DType::f64};
      embedding_sum({id.tensor, table.tensor, 13}, {place.tensor, other.tensor, 2}, out.tensor,
                    stream);
      embedding_sum({id.host.tensor, htable.tensor, 13}, {place.host.tensor, hother.tensor, 2},
                    hout.tensor, cpu);
      CHECK(distance(out.values(stream), hout.values()) <= kRounded);
    }
  }
}

TEST_CASE("embedding_backward on CUDA adds runs that cross segments, and has the same bits twice") {
  Stream stream{test::kGpu}, cpu{kCpu};
  std::vector<std::function<int(int)>> const patterns{
      [](int) { return 3; },                          // one run of all tokens
      [](int t) { return t % 2 == 0 ? 5 : t % 41; },  // one long run among short ones
      [](int t) { return t % 19; },                   // positions
      [](int t) { return t % 9 == 0   ? -1
                         : t % 3 == 0 ? 60
                                      : t % 40; },  // rows elsewhere
  };
  for (Size tokens : {1, 31, 32, 5000}) {
    for (auto const& [parts, hidden] : {std::pair<Size, Size>{1, 2056}, {2, 48}, {3, 51}}) {
      for (auto const& pattern : patterns) {
        std::vector<int> ids;
        for (int t = 0; t < tokens; ++t) ids.push_back(pattern(t));
        GpuIntegers const id{ids, stream};
        Shape const blocked{parts, tokens, hidden / parts};
        GpuArray const dx = random_on_gpu(blocked, DType::bf16, 1, stream);
        Array const hdx = on_host(dx, stream);
        GpuArray dtable = random_on_gpu({41, hidden}, DType::f32, 2, stream);
        GpuArray again = random_on_gpu({41, hidden}, DType::f32, 2, stream);
        Array hdtable = on_host(dtable, stream);
        embedding_backward(id.tensor, 0, dx.tensor, dtable.tensor, stream);
        embedding_backward(id.tensor, 0, dx.tensor, again.tensor, stream);
        embedding_backward(id.host.tensor, 0, hdx.tensor, hdtable.tensor, cpu);
        CHECK(distance(dtable.values(stream), hdtable.values()) <= kSummed);
        CHECK(dtable.values(stream) == again.values(stream));
      }
    }
  }
}

TEST_CASE("embedding_backward on CUDA takes a table at any address") {
  Stream stream{test::kGpu}, cpu{kCpu};
  GpuIntegers const id{{0, 2, 1, 2}, stream};
  GpuArray const dx = random_on_gpu({1, 4, 16}, DType::bf16, 1, stream);
  GpuArray const memory{{3 * 16 + 1}, DType::f32, Values(49, 0), stream};
  embedding_backward(id.tensor, 0, dx.tensor, without_first(memory).reshape({3, 16}), stream);
  Array const hdx = on_host(dx, stream);
  Array hdtable{{3, 16}, DType::f64, Values(48, 0)};
  embedding_backward(id.host.tensor, 0, hdx.tensor, hdtable.tensor, cpu);
  CHECK(distance(tail(memory.values(stream)), hdtable.values()) <= kSummed);
}

TEST_CASE("adamw on CUDA leaves zeros in the gradient if asked to, and changes nothing else") {
  Stream stream{test::kGpu};
  for (Size n : {1, 4099, 300'000}) {
    std::vector<Values> results[2];
    for (GradientAfter after : {GradientAfter::keep, GradientAfter::zero}) {
      GpuArray const w = random_on_gpu({n}, DType::f32, 1, stream);
      GpuArray const g = random_on_gpu({n}, DType::f32, 2, stream);
      GpuArray const m = random_on_gpu({n}, DType::f32, 3, stream);
      GpuArray const v{{n}, DType::f32, Values(static_cast<std::size_t>(n), 0.5), stream};
      GpuArray const rounded{{n}, DType::bf16, stream};
      Values const before = g.values(stream);
      adamw(w.tensor, g.tensor, m.tensor, v.tensor, {.lr = 0.1, .gradient_after = after},
            rounded.tensor, stream);
      for (GpuArray const* x : {&w, &m, &v, &rounded})
        results[after == GradientAfter::zero].push_back(x->values(stream));
      bool const zeroed = after == GradientAfter::zero;
      CHECK(g.values(stream) == (zeroed ? Values(before.size(), 0) : before));
    }
    CHECK(results[0] == results[1]);
  }
}

TEST_CASE("sums of squares on CUDA, of any size and address, one after the other") {
  Stream stream{test::kGpu};
  GpuArray const total{{1}, DType::f64, Values{0}, stream};
  double expected = 0;
  for (Size n : {1, 1025, 3'000'001}) {
    GpuArray const x = random_on_gpu({n + 1}, DType::f32, 1, stream);
    Values const values = x.values(stream);
    for (int i = 0; i < 2; ++i) {
      add_sum_of_squares(x.tensor, total.tensor, stream);
      expected += test::dot(values, values);
    }
    add_sum_of_squares(without_first(x), total.tensor, stream);
    expected += test::dot(tail(values), tail(values));
    CHECK(total.values(stream)[0] == test::Approx(expected).epsilon(1e-12));
  }
}

TEST_CASE("sums on CUDA are captured in a graph once they have run, and refused before") {
  Stream stream{test::kGpu};
  GpuArray const x = random_on_gpu({5000}, DType::f32, 1, stream);
  GpuArray const total{{1}, DType::f64, Values{0}, stream};
  double const squares = test::dot(x.values(stream), x.values(stream));
  auto const add = [&] { add_sum_of_squares(x.tensor, total.tensor, stream); };
  auto const capture = [&](std::function<void()> const& work) {
    cudaGraph_t graph = nullptr;
    REQUIRE(cudaStreamBeginCapture(native(stream), cudaStreamCaptureModeThreadLocal) ==
            cudaSuccess);
    work();
    REQUIRE(cudaStreamEndCapture(native(stream), &graph) == cudaSuccess);
    return graph;
  };
  // A workspace, and no counters: the first use of these is refused.
  GpuIntegers const id{std::vector<int>(1000, 1), stream};
  GpuArray const dx = random_on_gpu({1, 1000, 64}, DType::bf16, 2, stream);
  GpuArray const dtable{{2, 64}, DType::f32, Values(128, 0), stream};
  embedding_backward(id.tensor, 0, dx.tensor, dtable.tensor, stream);
  cudaGraphDestroy(capture([&] { test::check_refused("counters", add); }));

  add();
  cudaGraph_t const graph = capture(add);
  cudaGraphExec_t replay = nullptr;
  REQUIRE(cudaGraphInstantiate(&replay, graph, 0) == cudaSuccess);
  for (int i = 0; i < 2; ++i) REQUIRE(cudaGraphLaunch(replay, native(stream)) == cudaSuccess);
  CHECK(total.values(stream)[0] == test::Approx(3 * squares).epsilon(1e-12));
  cudaGraphExecDestroy(replay);
  cudaGraphDestroy(graph);
}

TEST_CASE("passes over memory on CUDA at addresses that no vector divides") {
  Stream stream{test::kGpu};
  for (DType const type : {DType::bf16, DType::f32}) {
    GpuArray const a = random_on_gpu({5001}, type, 1, stream),
                   b = random_on_gpu({5001}, type, 2, stream);
    Values expected = a.values(stream);
    Values const other = b.values(stream);
    for (std::size_t i = 1; i < expected.size(); ++i) expected[i] += other[i];
    add(without_first(a), without_first(b), without_first(a), stream);
    CHECK(distance(a.values(stream), expected) <= kRounded);
    Values scaled = b.values(stream);
    for (std::size_t i = 3; i < scaled.size(); ++i) scaled[i] *= 0.5;
    scale(without_first(b, 3), 0.5, stream);
    CHECK(b.values(stream) == scaled);
    scale(b.tensor, 2, stream);
    for (double& value : scaled) value *= 2;
    CHECK(b.values(stream) == scaled);
    fill(without_first(b, 7), 1.5, stream);
    std::fill(scaled.begin() + 7, scaled.end(), 1.5);
    CHECK(b.values(stream) == scaled);
    fill(b.tensor, -3, stream);
    CHECK(b.values(stream) == Values(scaled.size(), -3));
  }
}

TEST_CASE("rows at addresses that no vector divides: bias, GELU, dropout on CUDA") {
  Stream stream{test::kGpu}, cpu{kCpu};
  Shape const shape{13, 64};
  GpuArray const h_memory = random_on_gpu({13 * 64 + 1}, DType::bf16, 1, stream);
  GpuArray const bias = random_on_gpu({64}, DType::bf16, 2, stream);
  GpuArray const y{shape, DType::bf16, stream};
  Tensor const h = without_first(h_memory).reshape(shape);
  Array hh{shape, DType::f64, tail(h_memory.values(stream))}, hy{shape, DType::f64};
  Array const hbias = on_host(bias, stream);
  gelu(h, bias.tensor, y.tensor, stream);
  gelu(hh.tensor, hbias.tensor, hy.tensor, cpu);
  CHECK(distance(y.values(stream), hy.values()) <= 2 * kRounded);
  add_bias(h, bias.tensor, stream);
  add_bias(hh.tensor, hbias.tensor, cpu);
  CHECK(distance(tail(h_memory.values(stream)), hh.values()) <= kRounded);
}

TEST_CASE("sums over many rows on CUDA, with the same bits twice") {
  Stream stream{test::kGpu}, cpu{kCpu};
  for (Shape const& shape :
       {Shape{5000, 300}, Shape{4097, 2048}, Shape{3, 70000}, Shape{9000, 9}}) {
    INFO(to_string(shape));
    GpuArray const h = random_on_gpu(shape, DType::bf16, 1, stream);
    GpuArray const dy = random_on_gpu(shape, DType::bf16, 2, stream);
    GpuArray const dh{shape, DType::bf16, stream};
    Array const hh = on_host(h, stream), hdy = on_host(dy, stream);
    Array hdh{shape, DType::f64};
    Array sums{{shape[1]}, DType::f64, Values(static_cast<std::size_t>(shape[1]), 1)};
    add_bias_gradient(hdy.tensor, sums.tensor, cpu);
    gelu_backward(hh.tensor, hdy.tensor, hdh.tensor, sums.tensor, cpu);
    std::vector<Values> runs;
    for (int i = 0; i < 2; ++i) {
      GpuArray const found{
          {shape[1]}, DType::f32, Values(static_cast<std::size_t>(shape[1]), 1), stream};
      add_bias_gradient(dy.tensor, found.tensor, stream);
      gelu_backward(h.tensor, dy.tensor, dh.tensor, found.tensor, stream);
      runs.push_back(found.values(stream));
    }
    CHECK(distance(runs[0], sums.values()) <= kSummed);
    CHECK(runs[0] == runs[1]);
    CHECK(distance(dh.values(stream), hdh.values()) <= kRounded);
    gelu_backward(h.tensor, dy.tensor, dy.tensor, {}, stream);
    CHECK(dy.values(stream) == dh.values(stream));
  }
}

TEST_CASE("GELU on CUDA keeps its relative accuracy far below zero") {
  Stream stream{test::kGpu}, cpu{kCpu};
  Values h;
  for (double x = -6; x <= 6; x += 0.25) h.push_back(x);
  Size const n = std::ssize(h);
  GpuArray const on_gpu{{n}, DType::bf16, h, stream}, y{{n}, DType::bf16, stream};
  GpuArray const ones{{n}, DType::bf16, Values(h.size(), 1), stream}, dh{{n}, DType::bf16, stream};
  Array const hh{{n}, DType::f64, h}, one{{n}, DType::f64, Values(h.size(), 1)};
  Array hy{{n}, DType::f64}, hdh{{n}, DType::f64};
  gelu(on_gpu.tensor, {}, y.tensor, stream);
  gelu(hh.tensor, {}, hy.tensor, cpu);
  gelu_backward(on_gpu.tensor, ones.tensor, dh.tensor, {}, stream);
  gelu_backward(hh.tensor, one.tensor, hdh.tensor, {}, cpu);
  Values const found = y.values(stream), exact = hy.values();
  Values const slopes = dh.values(stream), exact_slopes = hdh.values();
  for (std::size_t i = 0; i < h.size(); ++i) {
    INFO(h[i]);
    CHECK(std::abs(found[i] - exact[i]) <= 5e-3 * std::abs(exact[i]));
    CHECK(std::abs(slopes[i] - exact_slopes[i]) <= 5e-3 * std::abs(exact_slopes[i]) + 1e-6);
  }
}

TEST_CASE("dropout on CUDA keeps the same elements as on the CPU, wherever features begin") {
  Stream stream{test::kGpu}, cpu{kCpu};
  std::vector<int> ordinals, positions;
  for (int r = 0; r < 131; ++r) {
    ordinals.push_back(r / 7 + 3);
    positions.push_back(r % 7);
  }
  GpuIntegers const ordinal{ordinals, stream}, position{positions, stream};
  for (Size features : {8, 101, 768, 2056}) {
    for (Size first : {0, 4, 129, 4096}) {
      Shape const shape{131, features};
      GpuArray const x = random_on_gpu(shape, DType::bf16, 1, stream);
      GpuArray const out{shape, DType::bf16, stream};
      Array const hx = on_host(x, stream);
      Array hout{shape, DType::f64};
      RandomKey const key = random_key(3, RandomPurpose::dropout, 1, 2);
      dropout(x.tensor, {0.3, key, ordinal.tensor, position.tensor, first}, out.tensor, stream);
      dropout(hx.tensor, {0.3, key, ordinal.host.tensor, position.host.tensor, first}, hout.tensor,
              cpu);
      Values const found = out.values(stream), expected = hout.values();
      CHECK(distance(found, expected) <= kRounded);
      CHECK(std::ranges::equal(found, expected,
                               [](double a, double b) { return (a == 0) == (b == 0); }));
    }
  }
}

}  // namespace dsr
