// SPDX-License-Identifier: Apache-2.0
#include "dsr/ops/elementwise.hpp"

#include "libdsr/ops/backend.hpp"
#include "ops/array.hpp"
#include "reference/elementwise.hpp"

namespace dsr {
namespace {

using test::Array;
using test::Values;

/// Odd, and large enough that threads share it.
Shape const kShape{131, 257};

Values map(Values x, std::function<double(double)> const& f) {
  for (double& value : x) value = f(value);
  return x;
}

}  // namespace

TEST_CASE("fill writes every type") {
  Stream stream{kCpu};
  for (DType const type : {DType::f32, DType::f64, DType::i32}) {
    Array x{{5, 1000}, type};
    fill(x.tensor, -3, stream);
    CHECK(x.values() == Values(5000, -3));
  }
  Buffer memory{64, kCpu};
  fill(Tensor{memory.data(), {8}, DType::i64, kCpu}, 1e15, stream);
  CHECK(static_cast<std::int64_t*>(memory.data())[7] == 1000000000000000);
  fill(Tensor{memory.data(), {64}, DType::u8, kCpu}, 200, stream);
  CHECK(static_cast<std::uint8_t*>(memory.data())[63] == 200);
  fill(Tensor{memory.data(), {32}, DType::bf16, kCpu}, 1.5, stream);
  CHECK(static_cast<std::uint16_t*>(memory.data())[31] == 0x3FC0);
}

TEST_CASE("copy takes strided views of any type") {
  Stream stream{kCpu};
  for (DType const type : {DType::f32, DType::f64, DType::i32}) {
    Values counting(4 * 6 * 9);
    for (std::size_t i = 0; i < counting.size(); ++i) counting[i] = static_cast<double>(i);
    Array x{{4, 6, 9}, type, counting}, out{{4, 6, 9}, type}, small{{3, 4, 2}, type};
    copy(x.tensor, out.tensor, stream);
    CHECK(out.values() == counting);
    Tensor const view = x.tensor.slice(0, 1, 4).slice(1, 2, 6).slice(2, 7, 9);
    copy(view, small.tensor, stream);
    CHECK(small.values() == test::values_of(view));
    CHECK(small.values()[7] == 54 + 5 * 9 + 8);
    fill(out.tensor, 0, stream);
    copy(small.tensor, out.tensor.slice(0, 0, 3).slice(1, 0, 4).slice(2, 1, 3), stream);
    CHECK(out.values()[54 + 9 + 2] == small.values()[11]);
    CHECK(out.values()[0] == 0);
  }
}

TEST_CASE("add, scale and add_bias equal one element after the other") {
  Stream stream{kCpu};
  DType const type = GENERATE(DType::f32, DType::f64);
  Array a = test::random(kShape, type, 1), b = test::random(kShape, type, 2), out{kShape, type};
  Array bias = test::random({257}, type, 3);
  Values expected = a.values();
  Values const right = b.values();
  for (std::size_t i = 0; i < expected.size(); ++i) expected[i] += right[i];
  add(a.tensor, b.tensor, out.tensor, stream);
  CHECK(test::distance(out.values(), expected) <= test::tolerance(type));
  add(a.tensor, b.tensor, a.tensor, stream);
  CHECK(a.values() == out.values());
  scale(a.tensor, -0.5, stream);
  CHECK(a.values() == map(out.values(), [](double x) { return -0.5 * x; }));
  Values const shifted = reference::add_bias(b.values(), bias.values());
  add_bias(b.tensor, bias.tensor, stream);
  CHECK(test::distance(b.values(), shifted) <= test::tolerance(type));
}

TEST_CASE("add_bias_gradient adds column sums") {
  Stream stream{kCpu};
  for (DType const type : test::kFloats) {
    Array dy = test::random({1300, 37}, type, 1), dbias{{37}, type, Values(37, 2)};
    Values expected = reference::column_sums(dy.values(), 37);
    for (double& value : expected) value += 2;
    add_bias_gradient(dy.tensor, dbias.tensor, stream);
    CHECK(test::distance(dbias.values(), expected) <= test::tolerance(type));
  }
}

TEST_CASE("gelu equals its tanh form, with and without a bias, far from zero too") {
  Stream stream{kCpu};
  DType const type = GENERATE(DType::f32, DType::f64);
  Array h = test::random(kShape, type, 1), y{kShape, type}, bias = test::random({257}, type, 2);
  Values const shifted = reference::add_bias(h.values(), bias.values());
  gelu(h.tensor, bias.tensor, y.tensor, stream);
  CHECK(test::distance(h.values(), shifted) <= test::tolerance(type));
  CHECK(test::distance(y.values(), map(h.values(), reference::gelu)) <= test::tolerance(type));
  Values const before = h.values();
  gelu(h.tensor, {}, y.tensor, stream);
  CHECK(h.values() == before);
  CHECK(test::distance(y.values(), map(before, reference::gelu)) <= test::tolerance(type));

  Array far{{4}, type, {-100, -20, 20, 100}}, out{{4}, type};
  gelu(far.tensor, {}, out.tensor, stream);
  CHECK(test::distance(out.values(), {0, 0, 20, 100}) <= test::tolerance(type));
  Array ones{{4}, type, Values(4, 1)};
  gelu_backward(far.tensor, ones.tensor, out.tensor, {}, stream);
  CHECK(test::distance(out.values(), {0, 0, 1, 1}) <= test::tolerance(type));
}

TEST_CASE("gelu_backward equals the slope, sums the bias gradient and works in place") {
  Stream stream{kCpu};
  DType const type = GENERATE(DType::f32, DType::f64);
  Array h = test::random(kShape, type, 1), dy = test::random(kShape, type, 2), dh{kShape, type};
  Array dbias{{257}, type, Values(257, 1)};
  Values expected = map(h.values(), reference::gelu_slope);
  Values const gradient = dy.values();
  for (std::size_t i = 0; i < expected.size(); ++i) expected[i] *= gradient[i];
  Values sums = reference::column_sums(expected, 257);
  for (double& value : sums) value += 1;
  gelu_backward(h.tensor, dy.tensor, dh.tensor, dbias.tensor, stream);
  CHECK(test::distance(dh.values(), expected) <= test::tolerance(type));
  CHECK(test::distance(dbias.values(), sums) <= test::tolerance(type));
  gelu_backward(h.tensor, dy.tensor, dy.tensor, {}, stream);
  CHECK(dy.values() == dh.values());
}

TEST_CASE("gelu_backward equals differences of gelu") {
  Stream stream{kCpu};
  Array h = test::random({3, 5}, DType::f64, 1), y{{3, 5}, DType::f64}, dh{{3, 5}, DType::f64};
  Array dy = test::random({3, 5}, DType::f64, 2);
  Values const expected = test::differences(h, [&] {
    gelu(h.tensor, {}, y.tensor, stream);
    return test::dot(y.values(), dy.values());
  });
  gelu_backward(h.tensor, dy.tensor, dh.tensor, {}, stream);
  CHECK(test::distance(dh.values(), expected) <= 1e-8);
}

TEST_CASE(
    "dropout keeps exactly the elements of the definition, wherever a rank's features begin") {
  Stream stream{kCpu};
  DType const type = GENERATE(DType::f32, DType::f64);
  Size const first = GENERATE(0, 4, 129, 130, 131);
  RandomKey const key = random_key(7, RandomPurpose::dropout, 3, 11);
  std::vector<int> ordinals, positions;
  for (int m = 0; m < 131; ++m) {
    ordinals.push_back(m / 64 + 5);
    positions.push_back(m % 64);
  }
  Array x = test::random(kShape, type, 1), out{kShape, type};
  Array const ordinal = test::integers(ordinals), position = test::integers(positions);
  DropoutMask const mask{0.3, key, ordinal.tensor, position.tensor, first};
  Values expected = x.values();
  for (std::size_t i = 0; i < expected.size(); ++i) {
    bool const kept =
        reference::kept(key, 0.3, static_cast<std::uint32_t>(ordinals[i / 257]),
                        static_cast<std::uint32_t>(positions[i / 257]),
                        static_cast<std::uint32_t>(first) + static_cast<std::uint32_t>(i % 257));
    expected[i] = kept ? expected[i] / 0.7 : 0;
  }
  dropout(x.tensor, mask, out.tensor, stream);
  CHECK(test::distance(out.values(), expected) <= test::tolerance(type));
  dropout(x.tensor, mask, x.tensor, stream);
  CHECK(x.values() == out.values());
}

TEST_CASE("passes over memory give the same bits with any number of threads") {
  Stream stream{kCpu};
  for (DType const type : test::kFloats) {
    Array const bias = test::random({257}, type, 3), dy = test::random(kShape, type, 4);
    Array const places = test::integers(std::vector<int>(131, 9));
    test::check_same_bits([&] {
      Array h = test::random(kShape, type, 1), y{kShape, type}, dbias{{257}, type, Values(257, 0)};
      gelu(h.tensor, bias.tensor, y.tensor, stream);
      gelu_backward(h.tensor, dy.tensor, h.tensor, dbias.tensor, stream);
      add_bias_gradient(dy.tensor, dbias.tensor, stream);
      add_bias(h.tensor, bias.tensor, stream);
      add(h.tensor, y.tensor, y.tensor, stream);
      scale(y.tensor, 0.7, stream);
      dropout(y.tensor, {0.5, {1, 2}, places.tensor, places.tensor, 2}, y.tensor, stream);
      copy(y.tensor, h.tensor, stream);
      Values all = h.values(), sums = dbias.values();
      all.insert(all.end(), sums.begin(), sums.end());
      return all;
    });
  }
}

TEST_CASE("passes over memory run in order on a communication stream") {
  Stream stream{kCpu, StreamKind::communication};
  Array a{{100}, DType::f32}, b{{100}, DType::f32};
  fill(a.tensor, 2, stream);
  scale(a.tensor, 3, stream);
  copy(a.tensor, b.tensor, stream);
  stream.synchronize();
  CHECK(b.values() == Values(100, 6));
}

TEST_CASE("passes over memory count bytes, also on meta, where they leave memory untouched") {
  Stream stream{kMeta};
  Array x{{6, 4}, DType::f32, Values(24, 1)}, bias{{4}, DType::f32, Values(4, 1)};
  Array const places = test::integers(std::vector<int>(6, 9));
  fill(x.tensor, 5, stream);
  CHECK(stream.counted().bytes == 96);
  add(x.tensor, x.tensor, x.tensor, stream);
  scale(x.tensor, 3, stream);
  add_bias(x.tensor, bias.tensor, stream);
  add_bias_gradient(x.tensor, bias.tensor, stream);
  gelu(x.tensor, bias.tensor, x.tensor, stream);
  gelu_backward(x.tensor, x.tensor, x.tensor, bias.tensor, stream);
  dropout(x.tensor, {0.5, {}, places.tensor, places.tensor, 0}, x.tensor, stream);
  copy(x.tensor, x.tensor, stream);
  CHECK(x.values() == Values(24, 1));
  CHECK(bias.values() == Values(4, 1));
  CHECK(stream.counted().calls == 9);
  CHECK(stream.counted().flops == 0);
}

TEST_CASE("passes over memory refuse what does not fit") {
  Stream stream{kCpu};
  Array x = test::random({6, 4}, DType::f32, 1), wide = test::random({6, 4}, DType::f64, 1);
  Array bias{{4}, DType::f32}, ids{{6, 4}, DType::i32}, wrong{{5}, DType::f32};
  Array const places = test::integers(std::vector<int>(6, 9));
  Tensor const strided = x.tensor.slice(1, 0, 3), none;
  Tensor const on_meta{x.tensor.raw(), {6, 4}, DType::f32, kMeta};
  auto const mask = [&](double probability, Tensor ordinals, Tensor positions, Size first = 0) {
    return DropoutMask{probability, {}, ordinals, positions, first};
  };
  using test::check_refused;
  check_refused("fill: x", [&] { fill(none, 0, stream); });
  check_refused("fill: x", [&] { fill(strided, 0, stream); });
  check_refused("fill: x", [&] { fill(on_meta, 0, stream); });
  check_refused("copy: x", [&] { copy(none, x.tensor, stream); });
  check_refused("copy: out", [&] { copy(x.tensor, wide.tensor, stream); });
  check_refused("copy: out", [&] { copy(x.tensor, strided, stream); });
  check_refused("add: a", [&] { add(ids.tensor, ids.tensor, ids.tensor, stream); });
  check_refused("add: b", [&] { add(x.tensor, wide.tensor, x.tensor, stream); });
  check_refused("add: out", [&] { add(x.tensor, x.tensor, bias.tensor, stream); });
  check_refused("scale: x", [&] { scale(strided, 2, stream); });
  check_refused("add_bias: y", [&] { add_bias(none, bias.tensor, stream); });
  check_refused("add_bias: bias", [&] { add_bias(x.tensor, wrong.tensor, stream); });
  check_refused("add_bias_gradient: dy", [&] { add_bias_gradient(strided, bias.tensor, stream); });
  check_refused("add_bias_gradient: dbias", [&] { add_bias_gradient(x.tensor, none, stream); });
  check_refused("gelu: h", [&] { gelu(ids.tensor, none, x.tensor, stream); });
  check_refused("gelu: bias", [&] { gelu(x.tensor, wrong.tensor, x.tensor, stream); });
  check_refused("gelu: y", [&] { gelu(x.tensor, none, wide.tensor, stream); });
  check_refused("gelu_backward: dy",
                [&] { gelu_backward(x.tensor, wide.tensor, x.tensor, none, stream); });
  check_refused("gelu_backward: dh",
                [&] { gelu_backward(x.tensor, x.tensor, none, none, stream); });
  check_refused("gelu_backward: dbias",
                [&] { gelu_backward(x.tensor, x.tensor, x.tensor, wrong.tensor, stream); });
  DropoutMask const good = mask(0.5, places.tensor, places.tensor);
  check_refused("dropout: x", [&] { dropout(none, good, x.tensor, stream); });
  check_refused("dropout: out", [&] { dropout(x.tensor, good, wide.tensor, stream); });
  check_refused("dropout: mask.ordinals",
                [&] { dropout(x.tensor, mask(0.5, none, places.tensor), x.tensor, stream); });
  check_refused("dropout: mask.positions", [&] {
    dropout(x.tensor, mask(0.5, places.tensor, bias.tensor), x.tensor, stream);
  });
  for (double const bad : {-0.1, 1.0, std::nan("")}) {
    check_refused("dropout: mask.probability", [&] {
      dropout(x.tensor, mask(bad, places.tensor, places.tensor), x.tensor, stream);
    });
  }
  check_refused("dropout: mask.first_feature", [&] {
    dropout(x.tensor, mask(0.5, places.tensor, places.tensor, -1), x.tensor, stream);
  });
}

}  // namespace dsr
