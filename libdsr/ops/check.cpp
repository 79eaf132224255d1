// SPDX-License-Identifier: Apache-2.0
#include "libdsr/ops/check.hpp"

#include "dsr/core/error.hpp"

namespace dsr::detail {
namespace {

std::string describe(Tensor const& x) {
  if (!x.defined()) return "undefined";
  return to_string(x.shape()) + (x.contiguous() ? " " : " strided ") +
         std::string(name_of(x.dtype())) + " on " + to_string(x.device());
}

bool is_floating(DType type) { return type == DType::f32 || type == DType::f64; }

}  // namespace

void Check::fail(std::string_view name, std::string const& found, std::string_view allowed) const {
  throw InvalidArgument(problem(std::string(op_) + ": " + std::string(name), found, allowed));
}

void Check::tensor(bool fits, std::string_view name, Tensor const& x,
                   std::string_view allowed) const {
  if (!fits) fail(name, describe(x), allowed);
}

void Check::usable(std::string_view name, Tensor const& x) const {
  tensor(x.defined(), name, x, "a defined tensor");
  if (device_.kind == Device::Kind::meta || x.device() == device_) return;
  fail(name, describe(x), "the stream's device " + to_string(device_));
}

void Check::floating(std::string_view name, Tensor const& x) const {
  usable(name, x);
  // On the CPU bf16 is a type of storage only.
  bool const cpu = device_.kind == Device::Kind::cpu;
  bool const fits = is_floating(x.dtype()) || (x.dtype() == DType::bf16 && !cpu);
  tensor(fits, name, x, cpu ? "f32 or f64" : "bf16, f32 or f64");
  tensor(x.contiguous(), name, x, "a contiguous tensor");
}

Rows Check::rows(std::string_view name, Tensor const& x) const {
  floating(name, x);
  tensor(x.rank() >= 1, name, x, "one dimension or more");
  return rows_of(x);
}

void Check::exactly(std::string_view name, Tensor const& x, Shape const& shape, DType dtype) const {
  usable(name, x);
  if (x.shape() == shape && x.dtype() == dtype && x.contiguous()) return;
  fail(name, describe(x), "contiguous " + to_string(shape) + " " + std::string(name_of(dtype)));
}

void count(Stream& stream, std::initializer_list<Tensor> operands, Size flops) {
  Work work{.flops = flops, .bytes = 0, .calls = 1};
  for (Tensor const& x : operands) {
    if (x.defined()) work.bytes += x.bytes();
  }
  stream.count(work);
}

}  // namespace dsr::detail
