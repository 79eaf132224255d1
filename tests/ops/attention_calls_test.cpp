// SPDX-License-Identifier: Apache-2.0
// The strided calls that packed attention is cut into: plain attention over [batch, head, token,
// feature] run with them must give what the packed reference gives.
#include "libdsr/ops/cuda/attention_calls.hpp"

#include <algorithm>

#include "dsr/core/error.hpp"
#include "ops/array.hpp"
#include "reference/attention.hpp"
#include "support/text_of.hpp"

namespace dsr {
namespace {

using detail::AttentionCall;
using detail::AttentionLayout;
using detail::AttentionSizes;
using detail::AttentionStrides;
using test::Values;

struct Case {
  Size tokens, groups, queries, size;
  std::vector<std::int32_t> starts;
  std::size_t calls;
};

std::vector<Case> const kCases = {
    {12, 3, 1, 4, {0, 4, 8, 12}, 1},         // equal sequences, one query head a group
    {12, 1, 3, 4, {0, 4, 8, 12}, 1},         // one group
    {12, 2, 3, 4, {0, 4, 8, 12}, 2},         // a call for each group
    {12, 4, 2, 4, {0, 6, 12}, 2},            // a call for each sequence
    {20, 2, 2, 3, {1, 4, 4, 7, 12, 17}, 4},  // two runs, an empty sequence, padding at both ends
    {9, 2, 1, 2, {0, 0}, 0},                 // nothing
};

Size place(AttentionStrides const& s, Size b, Size h, Size t) {
  return b * s.batch + h * s.head + t * s.token;
}

/// One query row of one head of a call.
void attend(AttentionCall const& call, Values const& qkv, Size b, Size h, Size i, Values& y,
            Values& log_sum) {
  AttentionLayout const& x = call.layout;
  auto const at = [](Values const& values, Size n) { return values[static_cast<std::size_t>(n)]; };
  Size const key_head = h / (x.heads / x.key_heads), query = call.query + place(x.query, b, h, i);
  Values weights;
  double sum = 0;
  for (Size j = 0; j <= i; ++j) {
    double dot = 0;
    for (Size d = 0; d < x.size; ++d) {
      dot += at(qkv, query + d) * at(qkv, call.key + place(x.key, b, key_head, j) + d);
    }
    weights.push_back(std::exp(dot / std::sqrt(static_cast<double>(x.size))));
    sum += weights.back();
  }
  log_sum[static_cast<std::size_t>(call.sums + (b * x.heads + h) * x.sequence + i)] = std::log(sum);
  for (Size d = 0; d < x.size; ++d) {
    double value = 0;
    for (Size j = 0; j <= i; ++j) {
      value += at(weights, j) / sum * at(qkv, call.value + place(x.key, b, key_head, j) + d);
    }
    y[static_cast<std::size_t>(call.out + place(x.out, b, h, i) + d)] = value;
  }
}

}  // namespace

TEST_CASE("calls with strides give packed attention, and every sum lies in the memory of its run") {
  for (Case const& c : kCases) {
    auto const plain = [](Size x) { return static_cast<std::size_t>(x); };
    reference::AttentionSizes const sizes{
        plain(c.tokens), plain(c.groups), plain(c.queries), plain(c.size),
        std::vector<std::size_t>(c.starts.begin(), c.starts.end())};
    AttentionSizes const packed{c.tokens, c.groups, c.queries, c.size};
    Values const qkv = test::random_values(c.tokens * packed.qkv_row(), 1);
    Values expected, expected_sums;
    reference::attention(sizes, qkv, expected, expected_sums);
    Values y(expected.size(), 0), sums(expected_sums.size(), 0);
    std::vector<AttentionCall> const calls = detail::attention_calls(packed, c.starts);
    CHECK(calls.size() == c.calls);
    for (AttentionCall const& call : calls) {
      AttentionLayout const& x = call.layout;
      for (Size b = 0; b < x.batch; ++b) {
        for (Size h = 0; h < x.heads; ++h) {
          for (Size i = 0; i < x.sequence; ++i) attend(call, qkv, b, h, i, y, sums);
        }
      }
    }
    CHECK(test::distance(y, expected) <= 1e-14);
    auto const padding = [&](Size begin, Size end) {
      auto const at = [&](Size token) { return sums.begin() + token * packed.heads(); };
      return std::all_of(at(begin), at(end), [](double sum) { return sum == 0; });
    };
    CHECK(padding(0, c.starts.front()));
    CHECK(padding(c.starts.back(), c.tokens));
    std::sort(sums.begin(), sums.end());
    std::sort(expected_sums.begin(), expected_sums.end());
    CHECK(test::distance(sums, expected_sums) <= 1e-14);
  }
}

TEST_CASE("head sizes that cuDNN does not take are refused by name, with the nearest") {
  for (Size const size : {8, 64, 104, 128}) CHECK_NOTHROW(detail::require_head_size(size, 128));
  CHECK_NOTHROW(detail::require_head_size(256, 256));
  auto const text = [](Size size, Size most) {
    return test::text_of<InvalidArgument>([&] { detail::require_head_size(size, most); });
  };
  CHECK(test::contains(text(36, 128), "D = 36 on cuda, allowed multiples of 8 up to 128"));
  CHECK(test::contains(text(36, 128), "nearest D = 40"));
  CHECK(test::contains(text(160, 128), "nearest D = 128"));
}

}  // namespace dsr
