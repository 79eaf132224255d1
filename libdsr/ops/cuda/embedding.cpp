// SPDX-License-Identifier: Apache-2.0
#include "kernels/embedding/embedding.hpp"

#include "libdsr/ops/cuda/cuda_backend.hpp"
#include "libdsr/ops/cuda/operands.hpp"

namespace dsr::detail {
namespace {

kernels::TableRows rows_at(LookUp const& from) {
  return {from.ids.data<std::int32_t>(), bf16(from.table), from.first_row, from.table.size(0)};
}

}  // namespace

void CudaBackend::embedding(Tensor ids, Tensor table, Size first_row, Tensor out,
                            Stream& stream) const {
  if (out.elements() == 0) return;
  kernels::embedding(rows_at({ids, table, first_row}), bf16(out), static_cast<int>(out.size(0)),
                     out.size(1), table.size(1), native(stream));
  launched();
}

void CudaBackend::embedding_sum(LookUp const& a, LookUp const& b, Tensor out,
                                Stream& stream) const {
  if (out.elements() == 0) return;
  kernels::embedding_sum(rows_at(a), rows_at(b), bf16(out), static_cast<int>(out.size(0)),
                         out.size(1), a.table.size(1), native(stream));
  launched();
}

void CudaBackend::embedding_backward(Tensor ids, Size first_row, Tensor dx, Tensor dtable,
                                     Stream& stream) const {
  if (dx.elements() == 0 || dtable.elements() == 0) return;
  Size const tokens = dx.size(1), hidden = dtable.size(1);
  void* const memory =
      workspace_of(stream).at_least(kernels::embedding_backward_bytes(tokens, hidden), stream);
  kernels::embedding_backward(
      {ids.data<std::int32_t>(), bf16(dx), static_cast<int>(dx.size(0)), tokens, hidden}, first_row,
      dtable.size(0), f32(dtable), memory, native(stream));
  launched();
}

}  // namespace dsr::detail
