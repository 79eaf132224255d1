// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Packed attention as calls of a library that takes [batch, head, token, feature] tensors with a
/// stride for each dimension; plain numbers.
///
///     for (AttentionCall const& call : attention_calls(AttentionSizes{qkv}, starts)) …
///
/// Sequences of equal length that follow each other make one batch. With one query head in a group
/// (n = 1) its heads are evenly spaced, and the batch is one call. With more they are not: heads of
/// a group are, and so are groups, so a call takes one group of all sequences, or all groups of one
/// sequence, whichever makes fewer calls.
#include <compare>
#include <cstdint>
#include <span>
#include <vector>

#include "dsr/core/tensor.hpp"

namespace dsr::detail {

/// Of qkv [T, groups, n + 2, D] and y [T, groups·n·D].
struct AttentionSizes {
  Size tokens, groups, queries, size;  ///< queries: n, heads of a group

  explicit AttentionSizes(Tensor const& qkv)
      : tokens(qkv.size(0)), groups(qkv.size(1)), queries(qkv.size(2) - 2), size(qkv.size(3)) {}
  AttentionSizes(Size t, Size g, Size n, Size d) : tokens(t), groups(g), queries(n), size(d) {}
  Size heads() const { return groups * queries; }
  Size qkv_row() const { return groups * (queries + 2) * size; }
  Size y_row() const { return heads() * size; }
};

/// Elements between neighbours in a batch, among heads and among tokens; features are neighbours in
/// memory.
struct AttentionStrides {
  Size batch = 0, head = 0, token = 0;
  auto operator<=>(AttentionStrides const&) const = default;
};

/// What a library's plan depends on. Every `heads / key_heads` query heads share a key and a value.
/// The sums lie packed, [batch, heads, sequence]: cuDNN before 9.26 reads no other order.
struct AttentionLayout {
  Size batch = 0, heads = 0, key_heads = 0, sequence = 0, size = 0;
  AttentionStrides query, key, out;  ///< key: of values too
  auto operator<=>(AttentionLayout const&) const = default;
};

/// One call: its layout and where its tensors begin, in elements of qkv, y and log_sum.
struct AttentionCall {
  AttentionLayout layout;
  Size query = 0, key = 0, value = 0, out = 0, sums = 0;
};

/// `starts` [B + 1]: where sequences begin, and the last one's end. Empty sequences make no call.
std::vector<AttentionCall> attention_calls(AttentionSizes const& sizes,
                                           std::span<std::int32_t const> starts);

/// Throws InvalidArgument with the nearest size that fits unless D is a multiple of 8 and at most
/// `most`.
void require_head_size(Size size, Size most);

}  // namespace dsr::detail
