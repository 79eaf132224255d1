// SPDX-License-Identifier: Apache-2.0
#include "dsr/ops/matmul.hpp"

#include "dsr/ops/elementwise.hpp"

#include "dsr/ops/algorithms.hpp"
#include "ops/array.hpp"
#include "reference/matmul.hpp"

namespace dsr {
namespace {

using test::Array;
using test::Values;

Shape stored(Size rows, Size columns, Transpose transpose) {
  return transpose == Transpose::yes ? Shape{columns, rows} : Shape{rows, columns};
}

struct Sizes {
  Size m, n, k;
  reference::Product product(MatmulOptions const& options) const {
    return {static_cast<std::size_t>(m), static_cast<std::size_t>(n), static_cast<std::size_t>(k),
            options.a, options.b};
  }
};

/// The rows [1, 1 + rows) and columns [3, 3 + columns) of a larger matrix.
Tensor inside(Array& larger, Shape const& shape) {
  return larger.tensor.slice(0, 1, 1 + shape[0]).slice(1, 3, 3 + shape[1]);
}

Array around(Shape const& shape, DType type, unsigned seed) {
  return test::random({shape[0] + 2, shape[1] + 7}, type, seed);
}

}  // namespace

TEST_CASE("matmul equals three loops on odd sizes, transposed, strided, with alpha and beta") {
  Stream stream{kCpu};
  DType const type = GENERATE(DType::f32, DType::f64);
  Transpose const a_turned = GENERATE(Transpose::no, Transpose::yes);
  Transpose const b_turned = GENERATE(Transpose::no, Transpose::yes);
  for (Sizes const size :
       {Sizes{1, 1, 1}, Sizes{5, 7, 3}, Sizes{131, 67, 129}, Sizes{9, 301, 65}}) {
    for (double beta : {0.0, 1.0, -0.5}) {
      MatmulOptions const options{a_turned, b_turned, 1.25, beta};
      Shape const a_shape = stored(size.m, size.k, a_turned);
      Shape const b_shape = stored(size.k, size.n, b_turned);
      Array a = around(a_shape, type, 1), b = around(b_shape, type, 2);
      Array out = around({size.m, size.n}, type, 3);
      Tensor const a_view = inside(a, a_shape), b_view = inside(b, b_shape);
      Tensor const out_view = inside(out, {size.m, size.n});
      Values expected = test::values_of(out_view);
      for (double& value : expected) value *= beta;
      reference::add_product(size.product(options), 1.25, test::values_of(a_view).data(),
                             test::values_of(b_view).data(), expected.data());
      Values const frame = out.values();
      matmul(a_view, b_view, out_view, options, stream);
      CHECK(test::distance(test::values_of(out_view), expected) <= test::tolerance(type));
      CHECK(out.values().front() == frame.front());
      CHECK(out.values().back() == frame.back());
    }
  }
}

TEST_CASE("matmul overwrites an uninitialised result when beta is 0") {
  Stream stream{kCpu};
  Array a = test::random({3, 4}, DType::f32, 1), b = test::random({4, 2}, DType::f32, 2);
  Array out{{3, 2}, DType::f32, Values(6, std::nan(""))};
  matmul(a.tensor, b.tensor, out.tensor, {}, stream);
  CHECK(std::isfinite(test::dot(out.values(), Values(6, 1))));
  Array nothing{{3, 0}, DType::f32}, none{{0, 2}, DType::f32};
  matmul(nothing.tensor, none.tensor, out.tensor, {.beta = 0}, stream);
  CHECK(out.values() == Values(6, 0));
}

TEST_CASE(
    "matmul takes a batch of either operand or both, strided, and sums where the result has none") {
  Stream stream{kCpu};
  DType const type = GENERATE(DType::f32, DType::f64);
  Size const batch = 3;
  Sizes const size{35, 18, 21};
  MatmulOptions const options{.b = Transpose::yes, .alpha = 0.5, .beta = 2};
  for (bool const a_batched : {false, true}) {
    for (bool const b_batched : {false, true}) {
      for (bool const out_batched : {false, true}) {
        if (!a_batched && !b_batched && !out_batched) continue;
        Array a_all = test::random({batch, size.m + 1, size.k}, type, 1);
        Array b_all = test::random({batch, size.n, size.k + 5}, type, 2);
        Array out_all = test::random({batch, size.m, size.n + 3}, type, 3);
        Tensor const a3 = a_all.tensor.slice(1, 1, size.m + 1);
        Tensor const b3 = b_all.tensor.slice(2, 5, size.k + 5);
        Tensor const out3 = out_all.tensor.slice(2, 0, size.n);
        Tensor const a = a_batched ? a3 : a3[1], b = b_batched ? b3 : b3[2];
        Tensor const out = out_batched ? out3 : out3[0];
        Values expected = test::values_of(out);
        for (double& value : expected) value *= 2;
        for (Size i = 0; i < (a_batched || b_batched || out_batched ? batch : 1); ++i) {
          double* const to = expected.data() + (out_batched ? i * size.m * size.n : 0);
          reference::add_product(size.product(options), 0.5,
                                 test::values_of(a_batched ? a[i] : a).data(),
                                 test::values_of(b_batched ? b[i] : b).data(), to);
        }
        matmul(a, b, out, options, stream);
        CHECK(test::distance(test::values_of(out), expected) <= test::tolerance(type));
      }
    }
  }
}

TEST_CASE("matmul gives the same bits with any number of threads") {
  Stream stream{kCpu};
  for (DType const type : test::kFloats) {
    for (Sizes const size : {Sizes{401, 65, 33}, Sizes{17, 1030, 129}, Sizes{128, 128, 768}}) {
      Array const a = test::random({size.m, size.k}, type, 1);
      Array const b = test::random({size.k, size.n}, type, 2);
      test::check_same_bits([&] {
        Array out{{size.m, size.n}, type};
        matmul(a.tensor, b.tensor, out.tensor, {}, stream);
        return out.values();
      });
    }
  }
}

TEST_CASE("matmul counts flops, also on meta, where it leaves memory untouched") {
  for (Device const device : {kCpu, kMeta}) {
    Stream stream{device};
    Array a = test::random({2, 5, 7}, DType::f32, 1), b = test::random({7, 3}, DType::f32, 2);
    Array out{{2, 5, 3}, DType::f32, Values(30, 1.5)};
    matmul(a.tensor, b.tensor, out.tensor, {}, stream);
    CHECK(stream.counted().flops == 2 * 2 * 5 * 3 * 7);
    CHECK(stream.counted().bytes == 4 * (70 + 21 + 30));
    CHECK(stream.counted().calls == 1);
    CHECK((out.values() == Values(30, 1.5)) == (device == kMeta));
  }
}

TEST_CASE("matmul refuses what does not fit") {
  Stream stream{kCpu};
  Array a = test::random({4, 6}, DType::f32, 1), b = test::random({6, 5}, DType::f32, 2);
  Array out{{4, 5}, DType::f32}, wide{{4, 5}, DType::f64}, line{{5}, DType::f32};
  Array batch{{3, 4, 6}, DType::f32}, results{{2, 4, 5}, DType::f32}, ids{{4, 5}, DType::i32};
  Tensor const on_meta{a.tensor.raw(), {4, 6}, DType::f32, kMeta};
  auto const refuse = [&](std::string const& name, Tensor x, Tensor y, Tensor z) {
    test::check_refused("matmul: " + name, [&] { matmul(x, y, z, {}, stream); });
  };
  refuse("a", {}, b.tensor, out.tensor);
  refuse("b", a.tensor, {}, out.tensor);
  refuse("out", a.tensor, b.tensor, {});
  refuse("out", a.tensor, b.tensor, line.tensor);
  refuse("out", a.tensor, b.tensor, ids.tensor);
  refuse("a", a.tensor, b.tensor, wide.tensor);
  refuse("a", on_meta, b.tensor, out.tensor);
  refuse("a", a.tensor.slice(0, 0, 3), b.tensor, out.tensor);
  refuse("b", a.tensor, b.tensor.slice(1, 0, 4), out.tensor);
  refuse("b", a.tensor, b.tensor.slice(0, 0, 5), out.tensor);
  refuse("a", batch.tensor, b.tensor, results.tensor);
  refuse("b", a.tensor, batch.tensor, out.tensor);
}

TEST_CASE("a product with a bias or GELU equals the product and the passes, forward and backward") {
  Stream stream{kCpu};
  DType const type = GENERATE(DType::f32, DType::f64);
  Size const m = 33, n = 20, k = 17;
  Array a = test::random({m, k}, type, 1), b = test::random({n, k}, type, 2);
  Array bias = test::random({n}, type, 3), expected = test::random({m, n}, type, 4);
  Array out{{m, n}, type, expected.values()}, y{{m, n}, type}, y_expected{{m, n}, type};
  MatmulOptions const turned{.b = Transpose::yes};
  MatmulOptions const adding{.b = Transpose::yes, .alpha = 0.5, .beta = 2};
  matmul(a.tensor, b.tensor, expected.tensor, adding, stream);
  add_bias(expected.tensor, bias.tensor, stream);
  matmul_bias(a.tensor, b.tensor, bias.tensor, out.tensor, adding, stream);
  CHECK(out.values() == expected.values());

  matmul(a.tensor, b.tensor, expected.tensor, turned, stream);
  gelu(expected.tensor, bias.tensor, y_expected.tensor, stream);
  matmul_gelu(a.tensor, b.tensor, bias.tensor, out.tensor, y.tensor, turned, stream);
  CHECK(out.values() == expected.values());
  CHECK(y.values() == y_expected.values());

  Array h = test::random({m, n}, type, 5), sums{{n}, type, Values(20, 1)};
  Array sums_expected{{n}, type, Values(20, 1)};
  matmul(a.tensor, b.tensor, expected.tensor, turned, stream);
  gelu_backward(h.tensor, expected.tensor, expected.tensor, sums_expected.tensor, stream);
  matmul_gelu_backward(a.tensor, b.tensor, h.tensor, out.tensor, sums.tensor, turned, stream);
  CHECK(out.values() == expected.values());
  CHECK(sums.values() == sums_expected.values());
}

TEST_CASE("products with something after them refuse what does not fit") {
  Stream stream{kCpu};
  Array a = test::random({4, 6}, DType::f32, 1), b = test::random({6, 5}, DType::f32, 2);
  Array out{{4, 5}, DType::f32}, batch{{3, 4, 6}, DType::f32}, results{{3, 4, 5}, DType::f32};
  Array line{{5}, DType::f32}, wide{{5}, DType::f64}, row{{4}, DType::f32};
  Tensor const x = a.tensor, w = b.tensor, o = out.tensor, l = line.tensor;
  using test::check_refused;
  check_refused("matmul_bias: a",
                [&] { matmul_bias(batch.tensor, w, l, results.tensor, {}, stream); });
  check_refused("matmul_bias: a", [&] { matmul_bias(x.slice(0, 0, 3), w, l, o, {}, stream); });
  check_refused("matmul_bias: bias", [&] { matmul_bias(x, w, row.tensor, o, {}, stream); });
  check_refused("matmul_bias: bias", [&] { matmul_bias(x, w, wide.tensor, o, {}, stream); });
  check_refused("matmul_gelu: options",
                [&] { matmul_gelu(x, w, l, o, o, {.beta = 1}, stream); });
  check_refused("matmul_gelu: bias", [&] { matmul_gelu(x, w, row.tensor, o, o, {}, stream); });
  check_refused("matmul_gelu: y", [&] { matmul_gelu(x, w, l, o, x, {}, stream); });
  check_refused("matmul_gelu_backward: options",
                [&] { matmul_gelu_backward(x, w, o, o, l, {.alpha = 2}, stream); });
  check_refused("matmul_gelu_backward: h",
                [&] { matmul_gelu_backward(x, w, x, o, l, {}, stream); });
  check_refused("matmul_gelu_backward: dbias",
                [&] { matmul_gelu_backward(x, w, o, o, row.tensor, {}, stream); });
}

TEST_CASE("matmul takes bf16 with sums of bf16 or f32 where there is a device for it") {
  Buffer memory{4096, kMeta};
  auto const tensor = [&](DType type, Device device) {
    return Tensor{memory.data(), {8, 8}, type, device};
  };
  auto const product = [&](DType a, DType b, DType out, Device device) {
    Stream stream{device};
    matmul(tensor(a, device), tensor(b, device), tensor(out, device), {}, stream);
  };
  for (DType const out : {DType::bf16, DType::f32}) {
    CHECK_NOTHROW(product(DType::bf16, DType::bf16, out, kMeta));
  }
  auto const refuse = [&](std::string const& name, DType a, DType b, DType out, Device device) {
    test::check_refused("matmul: " + name, [&] { product(a, b, out, device); });
  };
  refuse("a", DType::bf16, DType::bf16, DType::f64, kMeta);
  refuse("a", DType::f32, DType::f32, DType::bf16, kMeta);
  refuse("b", DType::bf16, DType::f32, DType::f32, kMeta);
  refuse("out", DType::bf16, DType::bf16, DType::bf16, kCpu);
  refuse("a", DType::bf16, DType::bf16, DType::f32, kCpu);
}

TEST_CASE("a device without a choice of algorithms keeps none") {
  for (Device const device : {kCpu, kMeta}) {
    Stream stream{device};
    choose_algorithms({.choice = AlgorithmChoice::timed}, stream);
    load_algorithms("of another device", stream);
    CHECK(save_algorithms(stream).empty());
  }
}

}  // namespace dsr
