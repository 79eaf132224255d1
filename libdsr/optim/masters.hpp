// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Between bf16 values and their f32 masters, at the start of a run only: through host memory, in
/// pieces, so that little memory is needed.
#include "dsr/core/buffer.hpp"
#include "dsr/core/stream.hpp"
#include "dsr/core/tensor.hpp"

namespace dsr::detail {

/// Holds the host memory. Tensors are one-dimensional, contiguous and of one length; on meta nothing
/// happens. Both functions wait for the result.
class MasterConverter {
 public:
  MasterConverter();
  /// masters = values, exactly.
  void widen(Tensor values, Tensor masters, Stream& stream);
  /// values = masters, rounded to nearest, ties to even, as the optimizer's update does.
  void round(Tensor masters, Tensor values, Stream& stream);

 private:
  template <class From, class To, class Convert>
  void convert(Tensor from, Tensor to, Stream& stream, Convert one);
  Buffer source_, target_;
};

}  // namespace dsr::detail
