// SPDX-License-Identifier: Apache-2.0
#include "libdsr/ops/cuda/attention_calls.hpp"

#include <algorithm>
#include <string>

#include "dsr/core/error.hpp"

namespace dsr::detail {
namespace {

/// Sequences of one length that follow each other.
struct Run {
  Size first_token, sequences, length;
};

std::vector<Run> runs_of(std::span<std::int32_t const> starts) {
  std::vector<Run> runs;
  for (std::size_t i = 0; i + 1 < starts.size(); ++i) {
    Size const length = starts[i + 1] - starts[i];
    if (length == 0) continue;
    bool const joins = !runs.empty() && runs.back().length == length;
    if (joins)
      ++runs.back().sequences;
    else
      runs.push_back({starts[i], 1, length});
  }
  return runs;
}

/// A call that begins at token `token` and group `group`.
AttentionCall call_at(AttentionSizes const& s, Size token, Size group,
                      AttentionLayout const& layout) {
  Size const query = token * s.qkv_row() + group * (s.queries + 2) * s.size;
  return {.layout = layout,
          .query = query,
          .key = query + s.queries * s.size,
          .value = query + (s.queries + 1) * s.size,
          .out = token * s.y_row() + group * s.queries * s.size,
          .sums = 0};
}

/// All sequences of a run; all groups of one head each, or one group.
AttentionLayout over_sequences(AttentionSizes const& s, Run const& run) {
  bool const all = s.queries == 1;
  Size const group = (s.queries + 2) * s.size;
  AttentionStrides const query{run.length * s.qkv_row(), all ? group : s.size, s.qkv_row()};
  return {.batch = run.sequences,
          .heads = all ? s.groups : s.queries,
          .key_heads = all ? s.groups : 1,
          .sequence = run.length,
          .size = s.size,
          .query = query,
          .key = {query.batch, all ? group : s.size, query.token},
          .out = {run.length * s.y_row(), s.size, s.y_row()}};
}

/// One sequence, its groups as a batch.
AttentionLayout over_groups(AttentionSizes const& s, Run const& run) {
  Size const group = (s.queries + 2) * s.size;
  return {.batch = s.groups,
          .heads = s.queries,
          .key_heads = 1,
          .sequence = run.length,
          .size = s.size,
          .query = {group, s.size, s.qkv_row()},
          .key = {group, s.size, s.qkv_row()},
          .out = {s.queries * s.size, s.size, s.y_row()}};
}

}  // namespace

std::vector<AttentionCall> attention_calls(AttentionSizes const& sizes,
                                           std::span<std::int32_t const> starts) {
  std::vector<AttentionCall> calls;
  for (Run const& run : runs_of(starts)) {
    Size sums = run.first_token * sizes.heads();
    auto const add = [&](AttentionCall call) {
      call.sums = sums;
      sums += call.layout.batch * call.layout.heads * call.layout.sequence;
      calls.push_back(call);
    };
    Size const group_calls = sizes.queries == 1 ? 1 : sizes.groups;
    if (group_calls <= run.sequences) {
      AttentionLayout const layout = over_sequences(sizes, run);
      for (Size group = 0; group < group_calls; ++group)
        add(call_at(sizes, run.first_token, group, layout));
    } else {
      AttentionLayout const layout = over_groups(sizes, run);
      for (Size i = 0; i < run.sequences; ++i)
        add(call_at(sizes, run.first_token + i * run.length, 0, layout));
    }
  }
  return calls;
}

void require_head_size(Size size, Size most) {
  constexpr Size kUnit = 8;
  if (size % kUnit == 0 && size <= most) return;
  throw InvalidArgument(
      problem("attention", "head size D = " + std::to_string(size) + " on cuda",
              "multiples of 8 up to " + std::to_string(most) + ", which cuDNN takes",
              "D = " + std::to_string(std::min(round_up(size, kUnit), most))));
}

}  // namespace dsr::detail
