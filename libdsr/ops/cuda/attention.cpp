// SPDX-License-Identifier: Apache-2.0
/// Attention by cuDNN, on the packed layout as it lies: nothing is transposed or copied, dqkv is
/// written packed.
#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <tuple>

#include "dsr/core/error.hpp"
#include "dsr/core/transfer.hpp"
#include "libdsr/ops/cuda/attention_plan.hpp"
#include "libdsr/ops/cuda/cuda_backend.hpp"
#include "libdsr/ops/cuda/gemm_library.hpp"

namespace dsr::detail {
namespace {

/// A stream's plans. Lives as long as its stream.
class AttentionLibrary {
 public:
  explicit AttentionLibrary(Device device) : cudnn_(device) {}

  Cudnn& cudnn() { return cudnn_; }

  void run(AttentionLayout const& layout, AttentionPlan::Pass pass, AttentionAddresses const& at,
           Stream& stream) {
    Determinism const deterministic = pass == AttentionPlan::Pass::backward
                                          ? gemm_library(stream).options().deterministic
                                          : Determinism::off;
    auto const key = std::tuple{layout, pass, deterministic};
    auto found = plans_.find(key);
    if (found == plans_.end()) {
      found = plans_.emplace(key, AttentionPlan{layout, pass, deterministic, cudnn_}).first;
    }
    AttentionPlan const& plan = found->second;
    plan.run(at, workspace_of(stream).at_least(plan.workspace_bytes(), stream), cudnn_);
  }

 private:
  Cudnn cudnn_;
  std::map<std::tuple<AttentionLayout, AttentionPlan::Pass, Determinism>, AttentionPlan> plans_;
};

AttentionLibrary& library(Tensor const& qkv, Stream& stream) {
  if (qkv.dtype() != DType::bf16) {
    throw InvalidArgument(problem(
        "attention", "qkv of type " + std::string{name_of(qkv.dtype())} + " on cuda", "bf16"));
  }
  native(stream);
  auto& library = StreamAccess::state(stream).resource<AttentionLibrary>();
  require_head_size(qkv.size(3), library.cudnn().largest_head());
  library.cudnn().use(stream);
  return library;
}

/// An address some elements into a tensor.
void* at(Tensor const& x, Size elements) {
  return static_cast<std::byte*>(x.raw()) + elements * size_of(x.dtype());
}

std::span<std::int32_t const> numbers(Tensor const& starts) {
  return {starts.data<std::int32_t>(), static_cast<std::size_t>(starts.elements())};
}

/// Rows [T, …] before the first sequence and after the last.
void zero_padding(Tensor const& rows, std::span<std::int32_t const> starts, Stream& stream) {
  Size const begin = starts.front(), end = starts.back(), tokens = rows.size(0);
  if (begin > 0) zero(rows.slice(0, 0, begin), stream);
  if (end < tokens) zero(rows.slice(0, end, tokens), stream);
}

/// log_sum as rows of tokens: the sums of a run of sequences fill as much memory as the tokens'
/// rows, in their own order.
Tensor by_tokens(Tensor const& log_sum) {
  return log_sum.reshape({log_sum.size(1), log_sum.size(0)});
}

}  // namespace

void CudaBackend::attention(Tensor qkv, Tensor sequence_starts, Tensor y, Tensor log_sum,
                            Stream& stream) const {
  if (qkv.elements() == 0) return;
  AttentionLibrary& with = library(qkv, stream);
  auto const starts = numbers(sequence_starts);
  for (AttentionCall const& call : attention_calls(AttentionSizes{qkv}, starts)) {
    with.run(call.layout, AttentionPlan::Pass::forward,
             {.query = at(qkv, call.query),
              .key = at(qkv, call.key),
              .value = at(qkv, call.value),
              .out = at(y, call.out),
              .sums = at(log_sum, call.sums)},
             stream);
  }
  zero_padding(y, starts, stream);
  zero_padding(by_tokens(log_sum), starts, stream);
}

void CudaBackend::attention_backward(Tensor qkv, Tensor sequence_starts, Tensor y, Tensor log_sum,
                                     Tensor dy, Tensor dqkv, Stream& stream) const {
  if (qkv.elements() == 0) return;
  AttentionLibrary& with = library(qkv, stream);
  auto const starts = numbers(sequence_starts);
  for (AttentionCall const& call : attention_calls(AttentionSizes{qkv}, starts)) {
    with.run(call.layout, AttentionPlan::Pass::backward,
             {.query = at(qkv, call.query),
              .key = at(qkv, call.key),
              .value = at(qkv, call.value),
              .out = at(y, call.out),
              .sums = at(log_sum, call.sums),
              .dout = at(dy, call.out),
              .dquery = at(dqkv, call.query),
              .dkey = at(dqkv, call.key),
              .dvalue = at(dqkv, call.value)},
             stream);
  }
  zero_padding(dqkv, starts, stream);
}

}  // namespace dsr::detail
