// SPDX-License-Identifier: Apache-2.0
#pragma once
/// What front ends ask of operands. Every failure is an InvalidArgument that names the op and the
/// operand:
///
///     dsr: add_bias: bias: [64] f32 on cpu, allowed [128] f32 on cpu
///
///     Check check{"add_bias", stream};
///     Rows const size = check.rows("y", y);
///     check.exactly("bias", bias, {size.features}, y.dtype());
#include <initializer_list>
#include <string>
#include <string_view>

#include "dsr/core/dtype.hpp"
#include "dsr/core/stream.hpp"
#include "dsr/core/tensor.hpp"

namespace dsr::detail {

/// A tensor read as M rows of N features.
struct Rows {
  Size rows = 0, features = 0;
};

/// M = product of all sizes but the last, N = the last.
inline Rows rows_of(Tensor const& x) {
  Size rows = 1;
  for (int dim = 0; dim + 1 < x.rank(); ++dim) rows *= x.size(dim);
  return {rows, x.size(-1)};
}

/// Lives for one call; throws at the first operand that does not fit.
class Check {
 public:
  Check(std::string_view op, Stream const& stream) : op_(op), device_(stream.device()) {}

  /// Defined, and on the stream's device (any device if the stream is meta).
  void usable(std::string_view name, Tensor const& x) const;
  /// Usable, contiguous, f32 or f64; not on the CPU also bf16.
  void floating(std::string_view name, Tensor const& x) const;
  /// floating, of rank 1 or more.
  Rows rows(std::string_view name, Tensor const& x) const;
  /// Usable, contiguous, of this shape and type.
  void exactly(std::string_view name, Tensor const& x, Shape const& shape, DType dtype) const;
  /// exactly, with the shape and type of another operand.
  void same(std::string_view name, Tensor const& x, Tensor const& as) const {
    exactly(name, x, as.shape(), as.dtype());
  }
  /// A condition on anything else: throws with what was found and what is allowed.
  void that(bool fits, std::string_view name, std::string const& found,
            std::string_view allowed) const {
    if (!fits) fail(name, found, allowed);
  }
  /// The same for a tensor's own description.
  void tensor(bool fits, std::string_view name, Tensor const& x, std::string_view allowed) const;

 private:
  [[noreturn]] void fail(std::string_view name, std::string const& found,
                         std::string_view allowed) const;

  std::string_view op_;
  Device device_;
};

/// Counts one call that reads and writes these operands (an operand updated in place is listed
/// twice; undefined ones count nothing), and its multiplications and additions where the op's time
/// is made of them.
void count(Stream& stream, std::initializer_list<Tensor> operands, Size flops = 0);

}  // namespace dsr::detail
