// SPDX-License-Identifier: Apache-2.0
#include "dsr/ops/cross_entropy.hpp"

#include <limits>

#include "dsr/ops/elementwise.hpp"
#include "ops/array.hpp"
#include "reference/cross_entropy.hpp"

namespace dsr {
namespace {

using test::Array;
using test::Values;

constexpr Size kTokens = 131, kVocabulary = 257;

std::vector<int> some_targets() {
  std::vector<int> targets;
  for (int m = 0; m < kTokens; ++m) targets.push_back(m % 11 == 3 ? -1 : m * 37 % 257);
  return targets;
}

struct Outcome {
  double loss;
  Values gradient;
};

/// The four passes with the vocabulary cut in two: [0, cut) on one "rank", the rest, padded, on
/// another.
Outcome in_two_parts(Array& logits, Array const& targets, Size cut, Stream& stream) {
  DType const type = logits.tensor.dtype();
  Size const rest = kVocabulary - cut, stored[2] = {cut, rest + 7};
  Array parts[2] = {Array{{kTokens, stored[0]}, type}, Array{{kTokens, stored[1]}, type}};
  Array tops[2] = {Array{{kTokens}, type}, Array{{kTokens}, type}};
  Array sums[2] = {Array{{kTokens, 2}, type}, Array{{kTokens, 2}, type}};
  Array loss{{1}, DType::f64, {0.25}};
  Size const valid[2] = {cut, rest}, first[2] = {0, cut};
  for (int i : {0, 1}) {
    fill(parts[i].tensor, 1e4, stream);  // padding must be ignored
    copy(logits.tensor.slice(1, first[i], first[i] + valid[i]),
         parts[i].tensor.slice(1, 0, valid[i]), stream);
    logits_max(parts[i].tensor, valid[i], tops[i].tensor, stream);
  }
  Values top = tops[0].values();
  for (std::size_t m = 0; m < top.size(); ++m) top[m] = std::max(top[m], tops[1].values()[m]);
  tops[0].set(top);
  for (int i : {0, 1}) {
    logits_exp(parts[i].tensor, valid[i], tops[0].tensor, targets.tensor, first[i], sums[i].tensor,
               stream);
  }
  add(sums[0].tensor, sums[1].tensor, sums[0].tensor, stream);
  add_cross_entropy(sums[0].tensor, targets.tensor, loss.tensor, stream);
  for (int i : {0, 1}) {
    logits_gradient(parts[i].tensor, valid[i], sums[0].tensor, targets.tensor, first[i], stream);
    copy(parts[i].tensor.slice(1, 0, valid[i]),
         logits.tensor.slice(1, first[i], first[i] + valid[i]), stream);
  }
  CHECK(test::values_of(parts[1].tensor.slice(1, rest, rest + 7)) ==
        Values(static_cast<std::size_t>(7 * kTokens)));
  return {loss.values()[0] - 0.25, logits.values()};
}

}  // namespace

TEST_CASE("cross entropy in parts equals whole rows: loss and gradient, with ignored targets") {
  Stream stream{kCpu};
  DType const type = GENERATE(DType::f32, DType::f64);
  Size const cut = GENERATE(1, 100, 257);
  std::vector<int> const targets = some_targets();
  Array logits = test::random({kTokens, kVocabulary}, type, 1);
  Values expected = logits.values();
  double const loss = reference::cross_entropy(expected, targets);
  Outcome const found = in_two_parts(logits, test::integers(targets), cut, stream);
  CHECK(std::abs(found.loss - loss) <= test::tolerance(type) * loss);
  CHECK(test::distance(found.gradient, expected) <= test::tolerance(type));
}

TEST_CASE("cross_entropy of whole rows equals the reference, with padding and ignored targets") {
  Stream stream{kCpu};
  DType const type = GENERATE(DType::f32, DType::f64);
  Size const padding = GENERATE(0, 7);
  std::vector<int> const targets = some_targets();
  Array logits = test::random({kTokens, kVocabulary}, type, 1);
  Array padded{{kTokens, kVocabulary + padding}, type};
  Array sums{{kTokens, 2}, type}, loss{{1}, DType::f64, {0.25}};
  Array const wanted = test::integers(targets);
  fill(padded.tensor, 1e4, stream);  // padding must be ignored
  copy(logits.tensor, padded.tensor.slice(1, 0, kVocabulary), stream);
  Values expected = logits.values();
  double const exact = reference::cross_entropy(expected, targets);
  cross_entropy(padded.tensor, kVocabulary, wanted.tensor, sums.tensor, loss.tensor, stream);
  CHECK(std::abs(loss.values()[0] - 0.25 - exact) <= test::tolerance(type) * exact);
  CHECK(test::distance(test::values_of(padded.tensor.slice(1, 0, kVocabulary)), expected) <=
        test::tolerance(type));
  CHECK(test::values_of(padded.tensor.slice(1, kVocabulary, kVocabulary + padding)) ==
        Values(static_cast<std::size_t>(padding * kTokens)));
}

TEST_CASE("the gradient of cross entropy equals differences of the loss") {
  Stream stream{kCpu};
  Array logits = test::random({3, 5}, DType::f64, 1), top{{3}, DType::f64},
        sums{{3, 2}, DType::f64};
  Array loss{{1}, DType::f64}, targets = test::integers({4, -1, 0});
  auto const forward = [&] {
    Array scores{{3, 5}, DType::f64, logits.values()};
    loss.set({0});
    logits_max(scores.tensor, 5, top.tensor, stream);
    logits_exp(scores.tensor, 5, top.tensor, targets.tensor, 0, sums.tensor, stream);
    add_cross_entropy(sums.tensor, targets.tensor, loss.tensor, stream);
    return loss.values()[0];
  };
  Values const expected = test::differences(logits, forward);
  forward();
  logits_exp(logits.tensor, 5, top.tensor, targets.tensor, 0, sums.tensor, stream);
  logits_gradient(logits.tensor, 5, sums.tensor, targets.tensor, 0, stream);
  CHECK(test::distance(logits.values(), expected) <= 1e-8);
}

TEST_CASE("a rank without real columns has a maximum of minus infinity and no sums") {
  Stream stream{kCpu};
  Array logits{{2, 3}, DType::f32, Values(6, 5)}, top{{2}, DType::f32}, sums{{2, 2}, DType::f32};
  Array const targets = test::integers({0, 1});
  logits_max(logits.tensor, 0, top.tensor, stream);
  CHECK(top.values() == Values(2, -std::numeric_limits<double>::infinity()));
  top.set({1, 1});
  logits_exp(logits.tensor, 0, top.tensor, targets.tensor, 0, sums.tensor, stream);
  CHECK(sums.values() == Values(4, 0));
  CHECK(logits.values() == Values(6, 0));
}

TEST_CASE("cross entropy gives the same bits with any number of threads") {
  Stream stream{kCpu};
  Array const targets = test::integers(some_targets());
  for (DType const type : test::kFloats) {
    test::check_same_bits([&] {
      Array logits = test::random({kTokens, kVocabulary}, type, 1);
      Outcome outcome = in_two_parts(logits, targets, 0, stream);
      outcome.gradient.push_back(outcome.loss);
      return outcome.gradient;
    });
  }
}

TEST_CASE("cross entropy on meta counts bytes and leaves memory untouched") {
  Stream stream{kMeta};
  Array logits{{2, 3}, DType::f32, Values(6, 5)}, top{{2}, DType::f32, {1, 1}};
  Array sums{{2, 2}, DType::f32, Values(4, 1)}, loss{{1}, DType::f64, {1}};
  Array const targets = test::integers({0, 1});
  logits_max(logits.tensor, 3, top.tensor, stream);
  CHECK(stream.counted().bytes == 4 * (6 + 2));
  logits_exp(logits.tensor, 3, top.tensor, targets.tensor, 0, sums.tensor, stream);
  add_cross_entropy(sums.tensor, targets.tensor, loss.tensor, stream);
  logits_gradient(logits.tensor, 3, sums.tensor, targets.tensor, 0, stream);
  CHECK(stream.counted().calls == 4);
  CHECK(logits.values() == Values(6, 5));
  CHECK(loss.values() == Values(1, 1));
}

TEST_CASE("cross entropy refuses what does not fit") {
  Stream stream{kCpu};
  Array logits{{2, 3}, DType::f32}, top{{2}, DType::f32}, sums{{2, 2}, DType::f32};
  Array loss{{1}, DType::f64}, narrow{{1}, DType::f32};
  Array const targets = test::integers({0, 1});
  Tensor const none, x = logits.tensor, t = top.tensor, s = sums.tensor, i = targets.tensor;
  using test::check_refused;
  check_refused("logits_max: logits", [&] { logits_max(none, 3, t, stream); });
  check_refused("logits_max: logits", [&] { logits_max(t, 2, t, stream); });
  check_refused("logits_max: valid", [&] { logits_max(x, 4, t, stream); });
  check_refused("logits_max: valid", [&] { logits_max(x, -1, t, stream); });
  check_refused("logits_max: top", [&] { logits_max(x, 3, s, stream); });
  check_refused("logits_exp: top", [&] { logits_exp(x, 3, s, i, 0, s, stream); });
  check_refused("logits_exp: targets", [&] { logits_exp(x, 3, t, t, 0, s, stream); });
  check_refused("logits_exp: sums", [&] { logits_exp(x, 3, t, i, 0, t, stream); });
  check_refused("add_cross_entropy: sums", [&] { add_cross_entropy(x, i, loss.tensor, stream); });
  check_refused("add_cross_entropy: targets",
                [&] { add_cross_entropy(s, t, loss.tensor, stream); });
  check_refused("add_cross_entropy: loss", [&] { add_cross_entropy(s, i, narrow.tensor, stream); });
  check_refused("logits_gradient: logits", [&] { logits_gradient(none, 3, s, i, 0, stream); });
  check_refused("logits_gradient: valid", [&] { logits_gradient(x, 9, s, i, 0, stream); });
  check_refused("logits_gradient: sums", [&] { logits_gradient(x, 3, x, i, 0, stream); });
  check_refused("logits_gradient: targets", [&] { logits_gradient(x, 3, s, s, 0, stream); });
  Tensor const l = loss.tensor;
  check_refused("cross_entropy: logits", [&] { cross_entropy(none, 3, i, s, l, stream); });
  check_refused("cross_entropy: valid", [&] { cross_entropy(x, 4, i, s, l, stream); });
  check_refused("cross_entropy: targets", [&] { cross_entropy(x, 3, t, s, l, stream); });
  check_refused("cross_entropy: sums", [&] { cross_entropy(x, 3, i, t, l, stream); });
  check_refused("cross_entropy: loss",
                [&] { cross_entropy(x, 3, i, s, narrow.tensor, stream); });
}

}  // namespace dsr
