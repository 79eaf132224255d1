// SPDX-License-Identifier: Apache-2.0
#include "dsr/ops/embedding.hpp"

#include "ops/array.hpp"
#include "reference/embedding.hpp"

namespace dsr {
namespace {

using test::Array;
using test::Values;

constexpr int kTokens = 201;

/// Rows in and out of the table of a rank, some more than once, some negative.
std::vector<int> some_ids() {
  std::vector<int> ids;
  for (int t = 0; t < kTokens; ++t) ids.push_back(t % 13 == 0 ? -1 : t * t % 97);
  return ids;
}

reference::Table const kTable{132, 3, 20, 41};
Shape const kTableShape{41, 132}, kBlocked{3, kTokens, 44};

}  // namespace

TEST_CASE("embedding adds the rows of a part of the table, features in blocks") {
  Stream stream{kCpu};
  DType const type = GENERATE(DType::f32, DType::f64);
  std::vector<int> const ids = some_ids();
  Array table = test::random(kTableShape, type, 1), out = test::random(kBlocked, type, 2);
  Values expected = out.values();
  reference::embedding(kTable, ids, table.values(), expected);
  embedding(test::integers(ids).tensor, table.tensor, 20, out.tensor, stream);
  CHECK(test::distance(out.values(), expected) <= test::tolerance(type));
}

TEST_CASE("embedding_sum writes the rows of two tables, and zeros where a token has none") {
  Stream stream{kCpu};
  DType const type = GENERATE(DType::f32, DType::f64);
  std::vector<int> const ids = some_ids();
  std::vector<int> others(ids.size());
  for (std::size_t t = 0; t < others.size(); ++t) others[t] = static_cast<int>(t % 7) - 1;
  Array table = test::random(kTableShape, type, 1), other = test::random({4, 132}, type, 2);
  Values expected(static_cast<std::size_t>(kBlocked.elements()));
  Array out{kBlocked, type, Values(expected.size(), std::nan(""))};
  reference::embedding(kTable, ids, table.values(), expected);
  reference::embedding({132, 3, 1, 4}, others, other.values(), expected);
  embedding_sum({test::integers(ids).tensor, table.tensor, 20},
                {test::integers(others).tensor, other.tensor, 1}, out.tensor, stream);
  CHECK(test::distance(out.values(), expected) <= test::tolerance(type));

  Array apart{kBlocked, type, Values(expected.size(), 0)};
  embedding(test::integers(ids).tensor, table.tensor, 20, apart.tensor, stream);
  embedding(test::integers(others).tensor, other.tensor, 1, apart.tensor, stream);
  CHECK(out.values() == apart.values());
}

TEST_CASE("embedding_backward adds the transpose of embedding") {
  Stream stream{kCpu};
  DType const type = GENERATE(DType::f32, DType::f64);
  std::vector<int> const ids = some_ids();
  Array dtable = test::random(kTableShape, type, 1), dx = test::random(kBlocked, type, 2);
  Values expected = dtable.values();
  reference::embedding_backward(kTable, ids, dx.values(), expected);
  embedding_backward(test::integers(ids).tensor, 20, dx.tensor, dtable.tensor, stream);
  CHECK(test::distance(dtable.values(), expected) <= test::tolerance(type));
}

TEST_CASE("embedding_backward equals differences of embedding") {
  Stream stream{kCpu};
  Array table = test::random({3, 4}, DType::f64, 1), out{{2, 4, 2}, DType::f64};
  Array dx = test::random({2, 4, 2}, DType::f64, 2), dtable{{3, 4}, DType::f64, Values(12, 0)};
  Array const ids = test::integers({6, 5, -1, 6});
  Values const expected = test::differences(table, [&] {
    out.set(Values(16, 0));
    embedding(ids.tensor, table.tensor, 5, out.tensor, stream);
    return test::dot(out.values(), dx.values());
  });
  embedding_backward(ids.tensor, 5, dx.tensor, dtable.tensor, stream);
  CHECK(test::distance(dtable.values(), expected) <= 1e-8);
}

TEST_CASE("embedding gives the same bits with any number of threads") {
  Stream stream{kCpu};
  Array const ids = test::integers(some_ids());
  for (DType const type : test::kFloats) {
    test::check_same_bits([&] {
      Array table = test::random(kTableShape, type, 1), x = test::random(kBlocked, type, 2);
      embedding(ids.tensor, table.tensor, 20, x.tensor, stream);
      embedding_backward(ids.tensor, 20, x.tensor, table.tensor, stream);
      embedding_sum({ids.tensor, table.tensor, 20}, {ids.tensor, table.tensor, 0}, x.tensor,
                    stream);
      Values all = table.values(), values = x.values();
      all.insert(all.end(), values.begin(), values.end());
      return all;
    });
  }
}

TEST_CASE("embedding on meta counts bytes and leaves memory untouched") {
  Stream stream{kMeta};
  Array table{{3, 4}, DType::f32, Values(12, 1)}, x{{2, 5, 2}, DType::f32, Values(20, 1)};
  Array const ids = test::integers({0, 1, 2, 0, 1});
  embedding(ids.tensor, table.tensor, 0, x.tensor, stream);
  embedding_backward(ids.tensor, 0, x.tensor, table.tensor, stream);
  CHECK(x.values() == Values(20, 1));
  CHECK(table.values() == Values(12, 1));
  CHECK(stream.counted().bytes == 2 * 4 * (5 + 3 * 20));
  embedding_sum({ids.tensor, table.tensor, 0}, {ids.tensor, table.tensor, 0}, x.tensor, stream);
  CHECK(x.values() == Values(20, 1));
  CHECK(stream.counted().bytes == 4 * (2 * (5 + 3 * 20) + 2 * 5 + 3 * 20));
  CHECK(stream.counted().calls == 3);
}

TEST_CASE("embedding refuses what does not fit") {
  Stream stream{kCpu};
  Array table{{3, 4}, DType::f32}, x{{2, 5, 2}, DType::f32}, wide{{2, 5, 2}, DType::f64};
  Array wrong{{3, 5, 2}, DType::f32};
  Array const ids = test::integers({0, 1, 2, 0, 1}), few = test::integers({0, 1});
  Tensor const none;
  using test::check_refused;
  check_refused("embedding: ids",
                [&] { embedding(few.tensor, table.tensor, 0, x.tensor, stream); });
  check_refused("embedding: table", [&] { embedding(ids.tensor, none, 0, x.tensor, stream); });
  check_refused("embedding: table", [&] { embedding(ids.tensor, x.tensor, 0, x.tensor, stream); });
  check_refused("embedding: out",
                [&] { embedding(ids.tensor, table.tensor, 0, wide.tensor, stream); });
  check_refused("embedding: out",
                [&] { embedding(ids.tensor, table.tensor, 0, wrong.tensor, stream); });
  LookUp const good{ids.tensor, table.tensor, 0};
  auto const refuse_sum = [&](std::string const& name, LookUp const& a, LookUp const& b,
                              Tensor out) {
    check_refused("embedding_sum: " + name, [&] { embedding_sum(a, b, out, stream); });
  };
  refuse_sum("a.ids", {few.tensor, table.tensor, 0}, good, x.tensor);
  refuse_sum("a.table", {ids.tensor, none, 0}, good, x.tensor);
  refuse_sum("b.ids", good, {none, table.tensor, 0}, x.tensor);
  refuse_sum("b.table", good, {ids.tensor, x.tensor, 0}, x.tensor);
  refuse_sum("out", good, good, wide.tensor);
  refuse_sum("out", good, good, wrong.tensor);
  check_refused("embedding_backward: ids",
                [&] { embedding_backward(table.tensor, 0, x.tensor, table.tensor, stream); });
  check_refused("embedding_backward: dx",
                [&] { embedding_backward(ids.tensor, 0, table.tensor, table.tensor, stream); });
  check_refused("embedding_backward: dtable",
                [&] { embedding_backward(ids.tensor, 0, x.tensor, none, stream); });
}

}  // namespace dsr
