// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Bytes between and on devices: transfer copies, zero clears; both in the order of a stream.
///
///     // host memory should come from Buffer::pinned
///     transfer(on_host, on_device, stream);
///     transfer(result, on_host, stream);  stream.synchronize();
#include "dsr/core/stream.hpp"
#include "dsr/core/tensor.hpp"

namespace dsr {

/// out = x, bit for bit.
///
/// Shapes      contiguous, the same shape and dtype; each on the stream's device or on the CPU
/// Stream      enqueued; both must live until it has run. On meta nothing is touched
/// Throws      InvalidArgument if shapes, dtypes, devices or strides do not fit
void transfer(Tensor x, Tensor out, Stream& stream);

/// x = 0 in every byte. Contiguous, on the stream's device (any if the stream is meta).
void zero(Tensor x, Stream& stream);

}  // namespace dsr
