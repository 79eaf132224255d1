// SPDX-License-Identifier: Apache-2.0
#include "dsr/ops/attention.hpp"

#include "ops/array.hpp"
#include "reference/attention.hpp"

namespace dsr {
namespace {

using test::Array;
using test::Values;

struct Case {
  Size tokens, groups, queries, size;
  std::vector<int> starts;

  Shape qkv() const { return {tokens, groups, queries + 2, size}; }
  Shape y() const { return {tokens, groups * queries * size}; }
  Shape log_sum() const { return {groups * queries, tokens}; }
  reference::AttentionSizes sizes() const {
    auto const plain = [](Size x) { return static_cast<std::size_t>(x); };
    return {plain(tokens), plain(groups), plain(queries), plain(size),
            std::vector<std::size_t>(starts.begin(), starts.end())};
  }
};

/// One sequence of a block; several blocks with grouped queries and padding at both ends; an empty
/// sequence.
std::vector<Case> const kCases = {{64, 2, 1, 32, {0, 64}},
                                  {1, 1, 1, 1, {0, 1}},
                                  {207, 2, 3, 20, {3, 70, 70, 200}},
                                  {131, 1, 2, 33, {0, 129}},
                                  {40, 3, 1, 7, {0, 9, 17, 40}}};
Case const kSmall{11, 2, 2, 3, {1, 5, 10}};

}  // namespace

TEST_CASE("attention equals rows of probabilities") {
  Stream stream{kCpu};
  for (Case const& c : kCases) {
    for (DType const type : test::kFloats) {
      Array qkv = test::random(c.qkv(), type, 1), y{c.y(), type}, log_sum{c.log_sum(), type};
      Array starts = test::integers(c.starts);
      Values expected_y, expected_log_sum;
      reference::attention(c.sizes(), qkv.values(), expected_y, expected_log_sum);
      attention(qkv.tensor, starts.tensor, y.tensor, log_sum.tensor, stream);
      CHECK(test::distance(y.values(), expected_y) <= test::tolerance(type));
      CHECK(test::distance(log_sum.values(), expected_log_sum) <= test::tolerance(type));
    }
  }
}

TEST_CASE("attention survives scores that overflow an exponential") {
  Stream stream{kCpu};
  Case const c{70, 1, 1, 4, {0, 70}};
  Array qkv = test::random(c.qkv(), DType::f32, 1), y{c.y(), DType::f32};
  Array log_sum{c.log_sum(), DType::f32}, starts = test::integers(c.starts);
  Values scaled = qkv.values();
  for (double& value : scaled) value *= 30;
  qkv.set(scaled);
  attention(qkv.tensor, starts.tensor, y.tensor, log_sum.tensor, stream);
  for (double const value : y.values()) REQUIRE(std::abs(value) < 200);
}

TEST_CASE("attention_backward equals differences of attention") {
  Stream stream{kCpu};
  Array qkv = test::random(kSmall.qkv(), DType::f64, 1), y{kSmall.y(), DType::f64};
  Array log_sum{kSmall.log_sum(), DType::f64}, starts = test::integers(kSmall.starts);
  Array dy = test::random(kSmall.y(), DType::f64, 2), dqkv{kSmall.qkv(), DType::f64};
  auto const loss = [&] {
    attention(qkv.tensor, starts.tensor, y.tensor, log_sum.tensor, stream);
    return test::dot(y.values(), dy.values());
  };
  Values const expected = test::differences(qkv, loss);
  loss();
  attention_backward(qkv.tensor, starts.tensor, y.tensor, log_sum.tensor, dy.tensor, dqkv.tensor,
                     stream);
  CHECK(test::distance(dqkv.values(), expected) <= 1e-8);
}

TEST_CASE(
    "attention_backward over several blocks equals differences in directions, f32 equals f64") {
  Stream stream{kCpu};
  for (Case const& c : kCases) {
    Array qkv = test::random(c.qkv(), DType::f64, 1), y{c.y(), DType::f64};
    Array log_sum{c.log_sum(), DType::f64}, starts = test::integers(c.starts);
    Array dy = test::random(c.y(), DType::f64, 2), dqkv{c.qkv(), DType::f64};
    dqkv.set(Values(static_cast<std::size_t>(c.qkv().elements()), std::nan("")));
    auto const loss = [&] {
      attention(qkv.tensor, starts.tensor, y.tensor, log_sum.tensor, stream);
      return test::dot(y.values(), dy.values());
    };
    loss();
    attention_backward(qkv.tensor, starts.tensor, y.tensor, log_sum.tensor, dy.tensor, dqkv.tensor,
                       stream);
    Values const gradient = dqkv.values(), at = qkv.values();
    for (unsigned seed : {11U, 12U, 13U}) {
      Values const direction = test::random_values(c.qkv().elements(), seed);
      double above_below[2];
      for (int side : {0, 1}) {
        Values moved = at;
        for (std::size_t i = 0; i < at.size(); ++i)
          moved[i] += (1 - 2 * side) * 1e-5 * direction[i];
        qkv.set(moved);
        above_below[side] = loss();
      }
      double const slope = (above_below[0] - above_below[1]) / 2e-5;
      CHECK(std::abs(test::dot(gradient, direction) - slope) <=
            1e-7 * std::max(1.0, std::abs(slope)));
    }
    Array qkv32{c.qkv(), DType::f32, at}, y32{c.y(), DType::f32}, dqkv32{c.qkv(), DType::f32};
    Array log_sum32{c.log_sum(), DType::f32}, dy32{c.y(), DType::f32, dy.values()};
    attention(qkv32.tensor, starts.tensor, y32.tensor, log_sum32.tensor, stream);
    attention_backward(qkv32.tensor, starts.tensor, y32.tensor, log_sum32.tensor, dy32.tensor,
                       dqkv32.tensor, stream);
    CHECK(test::distance(dqkv32.values(), gradient) <= 2e-6);
  }
}

TEST_CASE("attention gives the same bits with any number of threads") {
  Stream stream{kCpu};
  Case const& c = kCases[2];
  for (DType const type : test::kFloats) {
    Array const qkv = test::random(c.qkv(), type, 1), dy = test::random(c.y(), type, 2);
    Array const starts = test::integers(c.starts);
    test::check_same_bits([&] {
      Array y{c.y(), type}, log_sum{c.log_sum(), type}, dqkv{c.qkv(), type};
      attention(qkv.tensor, starts.tensor, y.tensor, log_sum.tensor, stream);
      attention_backward(qkv.tensor, starts.tensor, y.tensor, log_sum.tensor, dy.tensor,
                         dqkv.tensor, stream);
      Values all = y.values(), gradient = dqkv.values(), sums = log_sum.values();
      all.insert(all.end(), gradient.begin(), gradient.end());
      all.insert(all.end(), sums.begin(), sums.end());
      return all;
    });
  }
}

TEST_CASE("attention counts two products for each pair forward and five backward") {
  Case const& c = kCases[2];
  Size const pairs = 67 * 68 / 2 + 130 * 131 / 2, forward = 4 * 20 * 6 * pairs;
  for (Device const device : {kCpu, kMeta}) {
    Stream stream{device};
    Array qkv = test::random(c.qkv(), DType::f32, 1), y = test::random(c.y(), DType::f32, 2);
    Array log_sum = test::random(c.log_sum(), DType::f32, 3), starts = test::integers(c.starts);
    Array dqkv = test::random(c.qkv(), DType::f32, 4);
    Values const before = y.values(), before_gradient = dqkv.values();
    attention(qkv.tensor, starts.tensor, y.tensor, log_sum.tensor, stream);
    CHECK(stream.counted().flops == forward);
    attention_backward(qkv.tensor, starts.tensor, y.tensor, log_sum.tensor, y.tensor, dqkv.tensor,
                       stream);
    CHECK(stream.counted().flops == forward + 10 * 20 * 6 * pairs);
    CHECK((y.values() == before) == (device == kMeta));
    CHECK((dqkv.values() == before_gradient) == (device == kMeta));
  }
}

TEST_CASE("attention on meta takes sequence starts without memory as equal sequences") {
  Stream stream{kMeta};
  Buffer memory{1 << 20, kMeta};
  auto const tensor = [&](Shape const& shape, DType type = DType::f32) {
    return Tensor{memory.data(), shape, type, kMeta};
  };
  attention(tensor({24, 2, 3, 8}), tensor({4}, DType::i32), tensor({24, 16}), tensor({2, 24}),
            stream);
  CHECK(stream.counted().flops == 4 * 8 * 2 * 3 * (8 * 9 / 2));
}

TEST_CASE("attention in bf16 keeps its sums in f32") {
  Stream stream{kMeta};
  Buffer memory{1 << 20, kMeta};
  auto const tensor = [&](Shape const& shape, DType type) {
    return Tensor{memory.data(), shape, type, kMeta};
  };
  Tensor const qkv = tensor({24, 2, 3, 8}, DType::bf16), y = tensor({24, 16}, DType::bf16);
  Tensor const starts = tensor({4}, DType::i32), log_sum = tensor({2, 24}, DType::f32);
  attention(qkv, starts, y, log_sum, stream);
  attention_backward(qkv, starts, y, log_sum, y, qkv, stream);
  CHECK(stream.counted().calls == 2);
  test::check_refused("attention: log_sum", [&] {
    attention(qkv, starts, y, tensor({2, 24}, DType::bf16), stream);
  });
}

TEST_CASE("attention refuses what does not fit") {
  Stream stream{kCpu};
  Case const& c = kSmall;
  Array qkv = test::random(c.qkv(), DType::f32, 1), y{c.y(), DType::f32};
  Array log_sum{c.log_sum(), DType::f32}, starts = test::integers(c.starts);
  Array flat{{11, 24}, DType::f32}, headless{{11, 2, 2, 3}, DType::f32};
  auto const refuse = [&](std::string const& name, Tensor x, Tensor s, Tensor out, Tensor sums) {
    test::check_refused("attention: " + name, [&] { attention(x, s, out, sums, stream); });
  };
  refuse("qkv", {}, starts.tensor, y.tensor, log_sum.tensor);
  refuse("qkv", flat.tensor, starts.tensor, y.tensor, log_sum.tensor);
  refuse("qkv", headless.tensor, starts.tensor, y.tensor, log_sum.tensor);
  refuse("y", qkv.tensor, starts.tensor, flat.tensor, log_sum.tensor);
  refuse("log_sum", qkv.tensor, starts.tensor, y.tensor, y.tensor);
  refuse("sequence_starts", qkv.tensor, y.tensor, y.tensor, log_sum.tensor);
  for (std::vector<int> const& bad : {std::vector<int>{0, 12}, {-1, 3}, {5, 4}}) {
    Array const wrong = test::integers(bad);
    std::string const place = bad[0] < 0 ? "[0]" : "[1]";
    refuse("sequence_starts" + place, qkv.tensor, wrong.tensor, y.tensor, log_sum.tensor);
  }
  test::check_refused("attention_backward: dy", [&] {
    attention_backward(qkv.tensor, starts.tensor, y.tensor, log_sum.tensor, flat.tensor, qkv.tensor,
                       stream);
  });
  test::check_refused("attention_backward: dqkv", [&] {
    attention_backward(qkv.tensor, starts.tensor, y.tensor, log_sum.tensor, y.tensor, y.tensor,
                       stream);
  });
}

}  // namespace dsr
