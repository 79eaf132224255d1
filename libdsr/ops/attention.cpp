// SPDX-License-Identifier: Apache-2.0
#include "dsr/ops/attention.hpp"

#include <string>

#include "libdsr/ops/backend.hpp"
#include "libdsr/ops/check.hpp"

namespace dsr {

using detail::Check;
using detail::count;

namespace {

/// (query, key) pairs of one head, the diagonal included. Sequence starts without memory (meta)
/// stand for B equal sequences.
Size pairs_of(Tensor const& starts, Size tokens) {
  Size const sequences = starts.size(0) - 1;
  auto const triangle = [](Size length) { return length * (length + 1) / 2; };
  if (starts.device().kind == Device::Kind::meta) {
    return sequences > 0 ? sequences * triangle(tokens / sequences) : 0;
  }
  std::int32_t const* const start = starts.data<std::int32_t>();
  Size pairs = 0;
  for (Size b = 0; b < sequences; ++b) pairs += triangle(start[b + 1] - start[b]);
  return pairs;
}

void check_starts(Check const& check, Tensor const& starts, Size tokens, Device device) {
  check.tensor(starts.defined() && starts.rank() == 1 && starts.size(0) >= 1 &&
                   starts.dtype() == DType::i32 && starts.contiguous(),
               "sequence_starts", starts, "[B + 1] i32");
  if (starts.device().kind == Device::Kind::meta && device.kind == Device::Kind::meta) return;
  check.tensor(starts.device() == kCpu, "sequence_starts", starts, "memory of the host");
  std::int32_t const* const start = starts.data<std::int32_t>();
  Size const sequences = starts.size(0) - 1;
  for (Size b = 0; b <= sequences; ++b) {
    std::int32_t const least = b == 0 ? 0 : start[b - 1];
    check.that(start[b] >= least && start[b] <= tokens,
               "sequence_starts[" + std::to_string(b) + "]", std::to_string(start[b]),
               std::to_string(least) + " to " + std::to_string(tokens));
  }
}

void check_operands(Check const& check, Tensor const& qkv, Tensor const& y, Tensor const& log_sum) {
  check.floating("qkv", qkv);
  check.tensor(qkv.rank() == 4 && qkv.size(2) >= 3 && qkv.size(3) >= 1, "qkv", qkv,
               "[T, groups, n + 2, D] with n >= 1 and D >= 1");
  Size const tokens = qkv.size(0), heads = qkv.size(1) * (qkv.size(2) - 2);
  check.exactly("y", y, {tokens, heads * qkv.size(3)}, qkv.dtype());
  check.exactly("log_sum", log_sum, {heads, tokens}, accumulator_of(qkv.dtype()));
}

/// Two products of 2·D flops for each pair of each head.
Size forward_flops(Tensor const& qkv, Tensor const& starts) {
  return 4 * qkv.size(3) * qkv.size(1) * (qkv.size(2) - 2) * pairs_of(starts, qkv.size(0));
}

}  // namespace

void attention(Tensor qkv, Tensor sequence_starts, Tensor y, Tensor log_sum, Stream& stream) {
  Check const check{"attention", stream};
  check_operands(check, qkv, y, log_sum);
  check_starts(check, sequence_starts, qkv.size(0), stream.device());
  count(stream, {qkv, y, log_sum}, forward_flops(qkv, sequence_starts));
  detail::backend(stream.device()).attention(qkv, sequence_starts, y, log_sum, stream);
}

void attention_backward(Tensor qkv, Tensor sequence_starts, Tensor y, Tensor log_sum, Tensor dy,
                        Tensor dqkv, Stream& stream) {
  Check const check{"attention_backward", stream};
  check_operands(check, qkv, y, log_sum);
  check.same("dy", dy, y);
  check.same("dqkv", dqkv, qkv);
  check_starts(check, sequence_starts, qkv.size(0), stream.device());
  count(stream, {qkv, y, log_sum, dy, dqkv}, forward_flops(qkv, sequence_starts) / 2 * 5);
  detail::backend(stream.device())
      .attention_backward(qkv, sequence_starts, y, log_sum, dy, dqkv, stream);
}

}  // namespace dsr
