// SPDX-License-Identifier: Apache-2.0
#include "dsr/ops/matmul.hpp"

#include <algorithm>
#include <limits>
#include <string>

#include "libdsr/ops/backend.hpp"
#include "libdsr/ops/check.hpp"

namespace dsr {
namespace {

Size batch_of(Tensor const& x) { return x.rank() == 3 ? x.size(0) : 1; }

/// bf16 needs a device that multiplies it; on the CPU it is a type of storage.
bool multiplied(DType type, Device device) {
  bool const small = type == DType::bf16 && device.kind != Device::Kind::cpu;
  return small || type == DType::f32 || type == DType::f64;
}

void check_types(detail::Check const& check, Tensor const& a, Tensor const& b, Tensor const& out,
                 Device device) {
  std::string_view const floats =
      device.kind == Device::Kind::cpu ? "f32 or f64" : "bf16, f32 or f64";
  check.tensor(multiplied(out.dtype(), device), "out", out, floats);
  check.tensor(multiplied(a.dtype(), device), "a", a, floats);
  check.tensor(
      out.dtype() == a.dtype() || out.dtype() == accumulator_of(a.dtype()), "a", a,
      "a type whose sums are kept in the type of out, " + std::string(name_of(out.dtype())));
  check.tensor(b.dtype() == a.dtype(), "b", b, "the type of a, " + std::string(name_of(a.dtype())));
}

void check_operand(detail::Check const& check, std::string_view name, Tensor const& x) {
  constexpr Size kMost = std::numeric_limits<std::int32_t>::max();  // a CBLAS size is an int
  check.usable(name, x);
  check.tensor(x.rank() == 2 || x.rank() == 3, name, x, "two dimensions, or three with a batch");
  bool const row_fits = x.size(-2) <= 1 || x.stride(-2) >= x.size(-1);
  check.tensor((x.size(-1) <= 1 || x.stride(-1) == 1) && row_fits, name, x,
               "unit stride in the last dimension and rows that do not overlap");
  check.tensor(x.size(-1) <= kMost && x.size(-2) <= kMost && x.stride(-2) <= kMost, name, x,
               "sizes and row stride below 2^31");
}

/// Throws if the operands do not fit; returns the flops.
Size check_product(detail::Check const& check, Tensor const& a, Tensor const& b, Tensor const& out,
                   MatmulOptions const& options, Device device) {
  check_operand(check, "out", out);
  check_operand(check, "a", a);
  check_operand(check, "b", b);
  check_types(check, a, b, out, device);

  bool const a_turned = options.a == Transpose::yes, b_turned = options.b == Transpose::yes;
  Size const m = out.size(-2), n = out.size(-1), k = a.size(a_turned ? -2 : -1);
  check.tensor(a.size(a_turned ? -1 : -2) == m, "a", a,
               "op(a) with " + std::to_string(m) + " rows, as out has");
  check.tensor(b.size(b_turned ? -2 : -1) == n, "b", b,
               "op(b) with " + std::to_string(n) + " columns, as out has");
  check.tensor(b.size(b_turned ? -1 : -2) == k, "b", b,
               "op(b) with " + std::to_string(k) + " rows, as op(a) has columns");

  Size const members = out.rank() == 3 ? out.size(0) : std::max(batch_of(a), batch_of(b));
  std::string const batch = "a batch of " + std::to_string(members) + ", or none";
  check.tensor(a.rank() == 2 || a.size(0) == members, "a", a, batch);
  check.tensor(b.rank() == 2 || b.size(0) == members, "b", b, batch);
  return 2 * m * n * k * members;
}

/// A product that something follows: one whole matrix of a's type.
Size check_whole_product(detail::Check const& check, Tensor const& a, Tensor const& b,
                         Tensor const& out, MatmulOptions const& options, Device device) {
  Size const flops = check_product(check, a, b, out, options, device);
  for (Tensor const* x : {&a, &b, &out}) {
    check.tensor(x->rank() == 2, x == &a ? "a" : x == &b ? "b" : "out", *x, "no batch");
  }
  check.floating("out", out);
  check.tensor(out.dtype() == a.dtype(), "out", out, name_of(a.dtype()));
  return flops;
}

void check_plain(detail::Check const& check, MatmulOptions const& options) {
  check.that(options.alpha == 1 && options.beta == 0, "options",
             "alpha " + std::to_string(options.alpha) + ", beta " + std::to_string(options.beta),
             "alpha 1 and beta 0");
}

}  // namespace

void matmul(Tensor a, Tensor b, Tensor out, MatmulOptions options, Stream& stream) {
  detail::Check const check{"matmul", stream};
  Size const flops = check_product(check, a, b, out, options, stream.device());
  detail::count(stream, {a, b, options.beta != 0 ? out : Tensor{}, out}, flops);
  detail::backend(stream.device()).matmul(a, b, out, options, stream);
}

void matmul_bias(Tensor a, Tensor b, Tensor bias, Tensor out, MatmulOptions options,
                 Stream& stream) {
  detail::Check const check{"matmul_bias", stream};
  Size const flops = check_whole_product(check, a, b, out, options, stream.device());
  check.exactly("bias", bias, {out.size(1)}, out.dtype());
  detail::count(stream, {a, b, bias, options.beta != 0 ? out : Tensor{}, out}, flops);
  detail::backend(stream.device()).matmul_bias(a, b, bias, out, options, stream);
}

void matmul_gelu(Tensor a, Tensor b, Tensor bias, Tensor h, Tensor y, MatmulOptions options,
                 Stream& stream) {
  detail::Check const check{"matmul_gelu", stream};
  Size const flops = check_whole_product(check, a, b, h, options, stream.device());
  check_plain(check, options);
  if (bias.defined()) check.exactly("bias", bias, {h.size(1)}, h.dtype());
  check.same("y", y, h);
  detail::count(stream, {a, b, bias, h, y}, flops);
  detail::backend(stream.device()).matmul_gelu(a, b, bias, h, y, options, stream);
}

void matmul_gelu_backward(Tensor a, Tensor b, Tensor h, Tensor dh, Tensor dbias,
                          MatmulOptions options, Stream& stream) {
  detail::Check const check{"matmul_gelu_backward", stream};
  Size const flops = check_whole_product(check, a, b, dh, options, stream.device());
  check_plain(check, options);
  check.same("h", h, dh);
  if (dbias.defined()) check.exactly("dbias", dbias, {h.size(1)}, accumulator_of(h.dtype()));
  detail::count(stream, {a, b, h, dh, dbias, dbias}, flops);
  detail::backend(stream.device()).matmul_gelu_backward(a, b, h, dh, dbias, options, stream);
}

}  // namespace dsr
