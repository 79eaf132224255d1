// SPDX-License-Identifier: Apache-2.0
// Products on a GPU against the CPU's in f64, on the values that the GPU's operands hold.
#include "dsr/core/cuda.hpp"
#include "dsr/ops/algorithms.hpp"
#include "dsr/ops/matmul.hpp"
#include "ops/gpu_array.hpp"
#include "support/text_of.hpp"

namespace dsr {
namespace {

using test::Array;
using test::GpuArray;
using test::kGpu;
using test::Values;

struct Types {
  DType in, out;
  /// bf16 is rounded to 8 bits: each element is off by at most 2^-9 of it.
  /// bf16: one rounding of the result, 2⁻⁸ at worst. f32: thousands of terms, added in the order of
  /// the tensor cores.
  double tolerance() const {
    return out == DType::bf16 ? 0x1p-8 : out == DType::f32 ? 1e-5 : 1e-13;
  }
};
constexpr Types kTypes[] = {{DType::bf16, DType::bf16},
                            {DType::bf16, DType::f32},
                            {DType::f32, DType::f32},
                            {DType::f64, DType::f64}};

struct Sizes {
  Size m, n, k;
};

Shape stored(Size rows, Size columns, Transpose transpose) {
  return transpose == Transpose::yes ? Shape{columns, rows} : Shape{rows, columns};
}

/// Operands whose views lie inside larger matrices, `edge` elements from their beginnings.
struct Framed {
  GpuArray all;
  Shape shape;
  Size edge;

  Tensor view(Tensor const& of) const {
    return of.slice(0, edge, edge + shape[0]).slice(1, edge, edge + shape[1]);
  }
};

Framed framed(Shape const& shape, Size edge, DType type, unsigned seed, Stream& stream) {
  return {test::random_on_gpu({shape[0] + edge, shape[1] + 2 * edge}, type, seed, stream), shape,
          edge};
}

void check_product(Sizes const& size, Types const& types, MatmulOptions const& options, Size edge,
                   Stream& gpu) {
  Stream cpu{kCpu};
  Framed const a = framed(stored(size.m, size.k, options.a), edge, types.in, 1, gpu);
  Framed const b = framed(stored(size.k, size.n, options.b), edge, types.in, 2, gpu);
  Framed const out = framed({size.m, size.n}, edge, types.out, 3, gpu);
  Array const a_host = test::on_host(a.all, gpu), b_host = test::on_host(b.all, gpu);
  Array const expected = test::on_host(out.all, gpu);
  matmul(a.view(a_host.tensor), b.view(b_host.tensor), out.view(expected.tensor), options, cpu);
  matmul(a.view(a.all.tensor), b.view(b.all.tensor), out.view(out.all.tensor), options, gpu);
  INFO(size.m << " x " << size.n << " x " << size.k << ", " << name_of(types.in) << " to "
              << name_of(types.out) << ", edge " << edge << ", beta " << options.beta);
  // The frame counts too: it must keep its values.
  CHECK(test::distance(out.all.values(gpu), expected.values()) <= types.tolerance());
}

}  // namespace

TEST_CASE(
    "matmul on a GPU equals the CPU's in every type, transpose and stride, on odd sizes and "
    "others") {
  Stream gpu{kGpu};
  for (Types const& types : kTypes) {
    for (Transpose const a : {Transpose::no, Transpose::yes}) {
      for (Transpose const b : {Transpose::no, Transpose::yes}) {
        for (Sizes const& size : {Sizes{1, 1, 1}, Sizes{5, 7, 3}, Sizes{131, 67, 129},
                                  Sizes{64, 128, 256}, Sizes{9, 301, 65}, Sizes{520, 264, 136}}) {
          for (double const beta : {0.0, 1.0}) {
            for (Size const edge : {0, 3, 8})
              check_product(size, types, {a, b, 1.25, beta}, edge, gpu);
          }
        }
      }
    }
  }
}

TEST_CASE("matmul on a GPU takes every form of batch") {
  Stream gpu{kGpu}, cpu{kCpu};
  Size const batch = 3, m = 40, n = 24, k = 56;
  for (Types const& types : kTypes) {
    for (Transpose const turned : {Transpose::no, Transpose::yes}) {
      for (int form = 1; form < 8; ++form) {
        MatmulOptions const options{.a = turned, .alpha = 0.5, .beta = form % 2 == 0 ? 0.0 : 2.0};
        Shape const a_shape = stored(m, k, turned);
        GpuArray a = test::random_on_gpu({batch, a_shape[0], a_shape[1]}, types.in, 1, gpu);
        GpuArray b = test::random_on_gpu({batch, k, n}, types.in, 2, gpu);
        GpuArray out = test::random_on_gpu({batch, m, n}, types.out, 3, gpu);
        Array const a_host = test::on_host(a, gpu), b_host = test::on_host(b, gpu),
                    expected = test::on_host(out, gpu);
        auto const part = [&](Tensor const& x, int bit) { return (form & bit) != 0 ? x : x[1]; };
        matmul(part(a_host.tensor, 1), part(b_host.tensor, 2), part(expected.tensor, 4), options,
               cpu);
        matmul(part(a.tensor, 1), part(b.tensor, 2), part(out.tensor, 4), options, gpu);
        INFO("form " << form << ", " << name_of(types.in) << " to " << name_of(types.out));
        CHECK(test::distance(out.values(gpu), expected.values()) <= 2 * types.tolerance());
      }
    }
  }
}

TEST_CASE("products with a bias or GELU on a GPU equal the CPU's, by either choice of algorithms") {
  for (AlgorithmChoice const choice : {AlgorithmChoice::heuristic, AlgorithmChoice::timed}) {
    Stream gpu{kGpu}, cpu{kCpu};
    choose_algorithms({.choice = choice}, gpu);
    // The last has rows that no vector divides: the parts run one after the other.
    for (Sizes const& size : {Sizes{64, 128, 256}, Sizes{520, 264, 136}, Sizes{131, 67, 129}}) {
      INFO(size.m << " x " << size.n << " x " << size.k);
      DType const type = DType::bf16;
      MatmulOptions const turned{.b = Transpose::yes};
      GpuArray const a = test::random_on_gpu({size.m, size.k}, type, 1, gpu);
      GpuArray const b = test::random_on_gpu({size.n, size.k}, type, 2, gpu);
      GpuArray const bias = test::random_on_gpu({size.n}, type, 3, gpu);
      GpuArray out = test::random_on_gpu({size.m, size.n}, type, 4, gpu), y{out.tensor.shape(), type, gpu};
      Array const a_host = test::on_host(a, gpu), b_host = test::on_host(b, gpu),
                  bias_host = test::on_host(bias, gpu);
      Array expected = test::on_host(out, gpu), y_expected = test::on_host(out, gpu);
      MatmulOptions const adding{.b = Transpose::yes, .beta = 1};
      matmul_bias(a_host.tensor, b_host.tensor, bias_host.tensor, expected.tensor, adding, cpu);
      matmul_bias(a.tensor, b.tensor, bias.tensor, out.tensor, adding, gpu);
      CHECK(test::distance(out.values(gpu), expected.values()) <= 0x1p-7);
      for (Tensor const& added : {bias.tensor, Tensor{}}) {
        matmul_gelu(a_host.tensor, b_host.tensor, added.defined() ? bias_host.tensor : Tensor{},
                    expected.tensor, y_expected.tensor, turned, cpu);
        matmul_gelu(a.tensor, b.tensor, added, out.tensor, y.tensor, turned, gpu);
        CHECK(test::distance(out.values(gpu), expected.values()) <= 0x1p-7);
        CHECK(test::distance(y.values(gpu), y_expected.values()) <= 0x1p-7);
      }
      GpuArray const h = test::random_on_gpu({size.m, size.n}, type, 5, gpu);
      Array const h_host = test::on_host(h, gpu);
      GpuArray sums = test::random_on_gpu({size.n}, DType::f32, 6, gpu);
      Array const sums_expected = test::on_host(sums, gpu);
      matmul_gelu_backward(a_host.tensor, b_host.tensor, h_host.tensor, expected.tensor,
                           sums_expected.tensor, turned, cpu);
      matmul_gelu_backward(a.tensor, b.tensor, h.tensor, out.tensor, sums.tensor, turned, gpu);
      CHECK(test::distance(out.values(gpu), expected.values()) <= 0x1p-7);
      CHECK(test::distance(sums.values(gpu), sums_expected.values()) <= 0x1p-7);
    }
  }
}

TEST_CASE("matmul on a GPU overwrites an uninitialised result, and adds nothing for an empty sum") {
  Stream gpu{kGpu};
  GpuArray a = test::random_on_gpu({8, 16}, DType::bf16, 1, gpu),
           b = test::random_on_gpu({16, 8}, DType::bf16, 2, gpu);
  GpuArray out{{8, 8}, DType::f32, gpu};
  matmul(a.tensor, b.tensor, out.tensor, {}, gpu);
  CHECK(std::isfinite(test::dot(out.values(gpu), Values(64, 1))));
  GpuArray none{{8, 0}, DType::bf16, {}, gpu}, nothing{{0, 8}, DType::bf16, {}, gpu};
  Values const before = out.values(gpu);
  matmul(none.tensor, nothing.tensor, out.tensor, {.beta = 1}, gpu);
  CHECK(out.values(gpu) == before);
  matmul(none.tensor, nothing.tensor, out.tensor, {}, gpu);
  CHECK(out.values(gpu) == Values(64, 0));
}

TEST_CASE(
    "timed choices are right, leave out alone, give the same bits afterwards, and travel as text") {
  Stream gpu{kGpu};
  choose_algorithms({.choice = AlgorithmChoice::timed}, gpu);
  Types const types{DType::bf16, DType::f32};
  Sizes const size{768, 384, 4096};
  check_product(size, types, {.a = Transpose::yes, .beta = 1}, 0, gpu);
  check_product(size, types, {.b = Transpose::yes}, 0, gpu);
  std::string const text = save_algorithms(gpu);
  CHECK(std::count(text.begin(), text.end(), '\n') == 4);

  GpuArray const a = test::random_on_gpu({size.m, size.k}, types.in, 1, gpu);
  GpuArray const b = test::random_on_gpu({size.n, size.k}, types.in, 2, gpu);
  auto const run = [&](Stream& stream) {
    GpuArray out{{size.m, size.n}, types.out, stream};
    matmul(a.tensor, b.tensor, out.tensor, {.b = Transpose::yes}, stream);
    return out.values(stream);
  };
  Values const first = run(gpu);
  CHECK(run(gpu) == first);
  Stream other{kGpu};
  load_algorithms(text, other);
  CHECK(run(other) == first);
  CHECK(save_algorithms(other) == text);
  CHECK_THROWS_AS(load_algorithms("dsr matmul algorithms 2\nfor another\n", other),
                  InvalidArgument);
  CHECK_THROWS_AS(load_algorithms("nothing", other), CorruptData);
}

TEST_CASE("a product that has run before can be captured in a graph and replayed") {
  Stream gpu{kGpu};
  choose_algorithms({.choice = AlgorithmChoice::timed}, gpu);
  GpuArray const a = test::random_on_gpu({64, 96}, DType::bf16, 1, gpu);
  GpuArray const b = test::random_on_gpu({96, 32}, DType::bf16, 2, gpu);
  GpuArray out{{64, 32}, DType::f32, gpu};
  auto const multiply = [&] { matmul(a.tensor, b.tensor, out.tensor, {}, gpu); };
  multiply();
  Values const expected = out.values(gpu);
  out.set(Values(expected.size(), 0), gpu);
  REQUIRE(cudaStreamBeginCapture(native(gpu), cudaStreamCaptureModeThreadLocal) == cudaSuccess);
  multiply();
  cudaGraph_t graph = nullptr;
  REQUIRE(cudaStreamEndCapture(native(gpu), &graph) == cudaSuccess);
  cudaGraphExec_t replay = nullptr;
  REQUIRE(cudaGraphInstantiate(&replay, graph, 0) == cudaSuccess);
  CHECK(out.values(gpu) == Values(expected.size(), 0));
  REQUIRE(cudaGraphLaunch(replay, native(gpu)) == cudaSuccess);
  CHECK(out.values(gpu) == expected);
  cudaGraphExecDestroy(replay);
  cudaGraphDestroy(graph);
}

TEST_CASE("matmul refuses mixed types on a GPU, by name") {
  Stream gpu{kGpu};
  GpuArray a = test::random_on_gpu({8, 8}, DType::bf16, 1, gpu),
           b = test::random_on_gpu({8, 8}, DType::f32, 2, gpu);
  GpuArray small{{8, 8}, DType::bf16, gpu};
  test::check_refused("matmul: b", [&] { matmul(a.tensor, b.tensor, b.tensor, {}, gpu); });
  test::check_refused("matmul: a", [&] { matmul(b.tensor, b.tensor, small.tensor, {}, gpu); });
}

}  // namespace dsr
