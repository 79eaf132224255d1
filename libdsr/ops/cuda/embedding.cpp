// SPDX-License-Identifier: Apache-2.0
#include "kernels/embedding/embedding.hpp"

#include "libdsr/ops/cuda/cuda_backend.hpp"
#include "libdsr/ops/cuda/operands.hpp"

namespace dsr::detail {

void CudaBackend::embedding(Tensor ids, Tensor table, Size first_row, Tensor out,
                            Stream& stream) const {
  if (out.elements() == 0) return;
  kernels::embedding(ids.data<std::int32_t>(), bf16(table), first_row, table.size(0), bf16(out),
                     static_cast<int>(out.size(0)), out.size(1), table.size(1), native(stream));
  launched();
}

void CudaBackend::embedding_backward(Tensor ids, Size first_row, Tensor dx, Tensor dtable,
                                     Stream& stream) const {
  if (dx.elements() == 0) return;
  Size const tokens = dx.size(1);
  void* const memory =
      workspace_of(stream).at_least(kernels::embedding_backward_bytes(tokens), stream);
  kernels::embedding_backward(ids.data<std::int32_t>(), first_row, dtable.size(0), bf16(dx),
                              f32(dtable), static_cast<int>(dx.size(0)), tokens, dtable.size(1),
                              memory, native(stream));
  launched();
}

}  // namespace dsr::detail
