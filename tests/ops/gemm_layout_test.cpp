// SPDX-License-Identifier: Apache-2.0
// The column-major arguments of row-major products: a plain column-major product run with them must
// give what three loops give.
#include "libdsr/ops/cuda/gemm_layout.hpp"

#include "ops/array.hpp"
#include "reference/matmul.hpp"

namespace dsr {
namespace {

using detail::GemmLayout;
using detail::GemmOperand;
using test::Array;
using test::Values;

/// Element (row, column) of op(x) of a member, x stored by columns.
double element(double const* x, GemmOperand const& operand, Size member, Size row, Size column) {
  if (operand.transpose == Transpose::yes) std::swap(row, column);
  return x[member * operand.step + column * operand.leading + row];
}

/// What BLAS does: out = alpha · op(left) · op(right) + beta · out, all by columns.
void column_major_product(GemmLayout const& g, double alpha, double const* left,
                          double const* right, double beta, double* out) {
  for (Size member = 0; member < g.batch; ++member) {
    for (Size column = 0; column < g.columns; ++column) {
      for (Size row = 0; row < g.rows; ++row) {
        double sum = 0;
        for (Size i = 0; i < g.inner; ++i) {
          sum += element(left, g.left, member, row, i) * element(right, g.right, member, i, column);
        }
        double& to = out[member * g.out.step + column * g.out.leading + row];
        to = alpha * sum + (beta == 0 ? 0 : beta * to);
      }
    }
  }
}

/// As the backend goes about it.
void multiply(Tensor const& a, Tensor const& b, Tensor const& out, MatmulOptions options) {
  bool const summed = out.rank() == 2 && (a.rank() == 3 || b.rank() == 3);
  detail::SummedTerms const sum =
      summed ? detail::summed_terms(a, b, options) : detail::SummedTerms{a, b, 1};
  auto const term = [&](Tensor const& x, Size i) { return summed && x.rank() == 3 ? x[i] : x; };
  for (Size i = 0; i < sum.terms; ++i, options.beta = 1) {
    Tensor const left = term(sum.b, i), right = term(sum.a, i);
    column_major_product(detail::gemm_layout(right, left, out, options), options.alpha,
                         left.data<double>(), right.data<double>(), options.beta,
                         out.data<double>());
  }
}

Shape stored(Size rows, Size columns, Transpose transpose) {
  return transpose == Transpose::yes ? Shape{columns, rows} : Shape{rows, columns};
}

Shape batched(Size batch, Shape const& shape, Size more) {
  return {batch, shape[0] + more, shape[1] + more};
}

/// The first rows and columns of each member.
Tensor corner(Tensor const& all, Shape const& shape) {
  return all.slice(1, 0, shape[0]).slice(2, 0, shape[1]);
}

}  // namespace

TEST_CASE(
    "column-major arguments give the row-major product in every form of batch, transpose and "
    "stride") {
  Size const m = 5, n = 7, k = 3;
  Transpose const a_turned = GENERATE(Transpose::no, Transpose::yes);
  Transpose const b_turned = GENERATE(Transpose::no, Transpose::yes);
  Size const batch = GENERATE(1, 4);
  Size const gap = GENERATE(0, 2);
  double const beta = GENERATE(0.0, 1.0, -0.5);
  MatmulOptions const options{a_turned, b_turned, 1.25, beta};
  Shape const a_shape = stored(m, k, a_turned), b_shape = stored(k, n, b_turned), out_shape{m, n};
  for (int form = 0; form < 8; ++form) {
    bool const a_batched = (form & 1) != 0, b_batched = (form & 2) != 0,
               out_batched = (form & 4) != 0;
    Array a_all = test::random(batched(batch, a_shape, gap), DType::f64, 1);
    Array b_all = test::random(batched(batch, b_shape, gap), DType::f64, 2);
    Array out_all = test::random(batched(batch, out_shape, gap), DType::f64, 3);
    auto const part = [](Array const& all, Shape const& shape, bool whole) {
      Tensor const view = corner(all.tensor, shape);
      return whole ? view : view[0];
    };
    Tensor const a = part(a_all, a_shape, a_batched), b = part(b_all, b_shape, b_batched);
    Tensor const out = part(out_all, out_shape, out_batched);
    Values expected = test::values_of(out);
    for (double& value : expected) value *= beta;
    reference::Product const product{static_cast<std::size_t>(m), static_cast<std::size_t>(n),
                                     static_cast<std::size_t>(k), a_turned, b_turned};
    Size const members = form == 0 ? 1 : batch;
    for (Size i = 0; i < members; ++i) {
      double* const to = expected.data() + (out_batched ? i * m * n : 0);
      reference::add_product(product, 1.25, test::values_of(a_batched ? a[i] : a).data(),
                             test::values_of(b_batched ? b[i] : b).data(), to);
    }
    multiply(a, b, out, options);
    INFO("form " << form);
    CHECK(test::distance(test::values_of(out), expected) <= 1e-14);
  }
}

TEST_CASE("a sum over a batch that lies along the inner dimension is one product") {
  Array a = test::random({4, 3, 5}, DType::f64, 1), b = test::random({4, 3, 7}, DType::f64, 2);
  MatmulOptions const gradient{.a = Transpose::yes, .beta = 1};
  CHECK(detail::summed_terms(a.tensor, b.tensor, gradient).terms == 1);
  CHECK(detail::summed_terms(a.tensor, b.tensor, gradient).a.shape() == Shape{12, 5});
  CHECK(detail::summed_terms(a.tensor.slice(1, 0, 2), b.tensor.slice(1, 0, 2), gradient).terms ==
        4);
  CHECK(detail::summed_terms(a.tensor, b.tensor[0], gradient).terms == 4);
}

TEST_CASE("layouts tell alignment and the extent of out, and not addresses") {
  Array a = test::random({2, 6, 16}, DType::f32, 1), b = test::random({2, 16, 8}, DType::f32, 2);
  Array out = test::random({2, 6, 8}, DType::f32, 3),
        other = test::random({2, 6, 8}, DType::f32, 4);
  GemmLayout const g = detail::gemm_layout(a.tensor, b.tensor, out.tensor, {});
  CHECK(g == detail::gemm_layout(a.tensor, b.tensor, other.tensor, {}));
  CHECK(g.out_extent() == 2 * 6 * 8);
  CHECK(g.right.align_bytes == 16);
  Tensor const shifted = a.tensor.slice(2, 1, 16), narrow = b.tensor.slice(1, 1, 16);
  CHECK(detail::gemm_layout(shifted, narrow, out.tensor, {}).right.align_bytes == 4);
  CHECK(g.reads == GemmLayout::Reads::operands);
  CHECK(detail::gemm_layout(a.tensor, b.tensor, out.tensor, {.beta = 1}) != g);
}

}  // namespace dsr
