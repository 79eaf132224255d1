// SPDX-License-Identifier: Apache-2.0
#include "kernels/cross_entropy/cross_entropy.hpp"

#include "libdsr/ops/cuda/cuda_backend.hpp"
#include "libdsr/ops/cuda/operands.hpp"

namespace dsr::detail {

void CudaBackend::logits_max(Tensor logits, Size valid, Tensor top, Stream& stream) const {
  if (logits.size(0) == 0) return;
  kernels::logits_max(bf16(logits), f32(top), logits.size(0), logits.size(1), valid,
                      native(stream));
  launched();
}

void CudaBackend::logits_exp(Tensor logits, Size valid, Tensor top, Tensor targets, Size first,
                             Tensor sums, Stream& stream) const {
  if (logits.size(0) == 0) return;
  kernels::logits_exp(bf16(logits), f32(top), targets.data<std::int32_t>(), first, f32(sums),
                      logits.size(0), logits.size(1), valid, native(stream));
  launched();
}

void CudaBackend::add_cross_entropy(Tensor sums, Tensor targets, Tensor loss,
                                    Stream& stream) const {
  kernels::add_cross_entropy(f32(sums), targets.data<std::int32_t>(), loss.data<double>(),
                             sums.size(0), native(stream));
  launched();
}

void CudaBackend::logits_gradient(Tensor logits, Size valid, Tensor sums, Tensor targets,
                                  Size first, Stream& stream) const {
  if (logits.size(0) == 0) return;
  kernels::logits_gradient(bf16(logits), f32(sums), targets.data<std::int32_t>(), first,
                           logits.size(0), logits.size(1), valid, native(stream));
  launched();
}

void CudaBackend::cross_entropy(Tensor logits, Size valid, Tensor targets, Tensor sums, Tensor loss,
                                Stream& stream) const {
  if (logits.size(0) == 0) return;
  kernels::softmax_gradient(bf16(logits), targets.data<std::int32_t>(), f32(sums), logits.size(0),
                            logits.size(1), valid, native(stream));
  launched();
  add_cross_entropy(sums, targets, loss, stream);
}

}  // namespace dsr::detail
