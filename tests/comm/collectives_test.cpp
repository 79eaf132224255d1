// SPDX-License-Identifier: Apache-2.0
// Every collective against what a reader would expect, on the CPU.
#include "dsr/comm/collectives.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

#include "comm/collectives_oracle.hpp"
#include "dsr/core/error.hpp"
#include "support/catch.hpp"
#include "support/ranks.hpp"

using namespace dsr;
using namespace dsr::test;

namespace {

template <class T>
Tensor view(std::vector<T>& x) {
  return Tensor{x.data(), {static_cast<Size>(x.size())}, dtype_of<T>, kCpu};
}

/// The group under test and a stream, of either kind.
struct Fixture {
  Communicator group = test::runtime().world();
  int rank = group.rank();
  int n = group.size();
  std::vector<Stream> streams;

  Fixture() {
    streams.emplace_back(kCpu);
    streams.push_back(test::runtime().communication_stream());
  }
};

}  // namespace

TEMPLATE_TEST_CASE("all_gather puts blocks in rank order", "", float, double, std::int32_t) {
  Fixture f;
  for (Stream& stream : f.streams) {
    for (Size const e : kSizes) {
      std::vector<TestType> expected;
      for (int r = 0; r < f.n; ++r) {
        auto const block = inputs<TestType>(r, e);
        expected.insert(expected.end(), block.begin(), block.end());
      }
      auto x = inputs<TestType>(f.rank, e);
      std::vector<TestType> out(expected.size(), TestType(-1));
      all_gather(view(x), view(out), f.group, stream);
      stream.synchronize();
      CHECK(same_bits(out, expected));
      CHECK(same_bits(x, inputs<TestType>(f.rank, e)));

      std::vector<TestType> whole(expected.size(), TestType(-1));
      std::copy(x.begin(), x.end(), whole.begin() + f.rank * e);
      all_gather(view(whole).slice(0, f.rank * e, (f.rank + 1) * e), view(whole), f.group, stream);
      stream.synchronize();
      CHECK(same_bits(whole, expected));
    }
  }
}

TEMPLATE_TEST_CASE("reduce_scatter sums in rank order", "", float, double, std::int32_t) {
  Fixture f;
  for (Stream& stream : f.streams) {
    for (Size const e : kSizes) {
      auto const expected = reduced_range<TestType>(f.rank * e, e, f.n, Reduce::sum);
      auto x = inputs<TestType>(f.rank, f.n * e);
      auto const before = x;
      std::vector<TestType> out(static_cast<std::size_t>(e), TestType(-1));
      reduce_scatter(view(x), view(out), f.group, stream);
      stream.synchronize();
      CHECK(same_bits(out, expected));
      CHECK(same_bits(x, before));

      Tensor const own = view(x).slice(0, f.rank * e, (f.rank + 1) * e);
      reduce_scatter(view(x), own, f.group, stream);
      stream.synchronize();
      CHECK(std::memcmp(own.raw(), expected.data(), expected.size() * sizeof(TestType)) == 0);
    }
  }
}

TEMPLATE_TEST_CASE("all_reduce gives all ranks the bits of the rank-order sum", "", float, double,
                   std::int32_t, std::int64_t) {
  Fixture f;
  for (Stream& stream : f.streams) {
    for (Reduce const operation : {Reduce::sum, Reduce::max, Reduce::min}) {
      for (Size const e : kSizes) {
        auto x = inputs<TestType>(f.rank, e);
        all_reduce(view(x), operation, f.group, stream);
        stream.synchronize();
        CHECK(same_bits(x, reduced_range<TestType>(0, e, f.n, operation)));
      }
    }
  }
}

TEMPLATE_TEST_CASE("broadcast", "", float, double, std::int32_t) {
  Fixture f;
  for (Stream& stream : f.streams) {
    for (int root = 0; root < f.n; ++root) {
      auto x = inputs<TestType>(f.rank, 1031);
      broadcast(view(x), root, f.group, stream);
      stream.synchronize();
      CHECK(same_bits(x, inputs<TestType>(root, 1031)));
    }
  }
}

TEMPLATE_TEST_CASE("all_to_all is a transposition", "", float, double, std::int32_t) {
  Fixture f;
  for (Stream& stream : f.streams) {
    for (Size const e : kSizes) {
      auto x = inputs<TestType>(f.rank, f.n * e);
      std::vector<TestType> out(x.size(), TestType(-1));
      std::vector<TestType> expected;
      for (int r = 0; r < f.n; ++r) {
        for (Size i = 0; i < e; ++i) expected.push_back(input<TestType>(r, f.rank * e + i));
      }
      all_to_all(view(x), view(out), f.group, stream);
      stream.synchronize();
      CHECK(same_bits(out, expected));
    }
  }
}

TEST_CASE("send and receive around a ring") {
  Fixture f;
  if (f.n == 1) return;
  for (Stream& stream : f.streams) {
    for (Size const e : kSizes) {
      auto mine = inputs<double>(f.rank, e);
      std::vector<double> got(mine.size());
      int const next = (f.rank + 1) % f.n;
      int const previous = (f.rank + f.n - 1) % f.n;
      if (f.rank == 0) {
        send(view(mine), next, f.group, stream);
        receive(view(got), previous, f.group, stream);
      } else {
        receive(view(got), previous, f.group, stream);
        send(view(mine), next, f.group, stream);
      }
      stream.synchronize();
      CHECK(same_bits(got, inputs<double>(previous, e)));
    }
  }
}

TEST_CASE("bytes travel too, and empty tensors need no memory") {
  Fixture f;
  std::vector<std::uint8_t> x(3, static_cast<std::uint8_t>(f.rank + 1));
  std::vector<std::uint8_t> out(3 * static_cast<std::size_t>(f.n));
  all_gather(view(x), view(out), f.group, f.streams[0]);
  for (std::size_t i = 0; i < out.size(); ++i) CHECK(out[i] == i / 3 + 1);
  Tensor const none{nullptr, {0}, DType::f32, kCpu};
  all_reduce(none, Reduce::sum, f.group, f.streams[0]);
  all_gather(none, none, f.group, f.streams[0]);
}

TEST_CASE("the same call gives the same bits twice") {
  Fixture f;
  std::vector<std::vector<float>> results;
  for (int run = 0; run < 2; ++run) {
    auto x = inputs<float>(f.rank, 70001);
    all_reduce(view(x), Reduce::sum, f.group, f.streams[1]);
    f.streams[1].synchronize();
    results.push_back(x);
  }
  CHECK(same_bits(results[0], results[1]));
}

TEST_CASE("operands that do not fit are refused before anything moves") {
  Fixture f;
  f.group.reset_traffic();
  Stream& stream = f.streams[0];
  std::vector<float> memory(static_cast<std::size_t>(8 * f.n));
  Tensor const whole = view(memory);
  Tensor const part = whole.slice(0, 0, 4);
  Tensor const matrix = whole.reshape({4, 2 * f.n});
  std::vector<double> doubles(static_cast<std::size_t>(8 * f.n));
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(8 * f.n));
  Tensor const on_meta{memory.data(), {8 * f.n}, DType::f32, kMeta};
  Stream meta_stream{kMeta};

  CHECK_THROWS_AS(all_gather(part, whole, f.group, stream), InvalidArgument);
  CHECK_THROWS_AS(all_gather(whole.slice(0, 0, 8), view(doubles), f.group, stream),
                  InvalidArgument);
  CHECK_THROWS_AS(reduce_scatter(whole, part, f.group, stream), InvalidArgument);
  CHECK_THROWS_AS(all_reduce(matrix.slice(1, 0, 1), Reduce::sum, f.group, stream), InvalidArgument);
  CHECK_THROWS_AS(all_reduce(view(bytes), Reduce::sum, f.group, stream), InvalidArgument);
  CHECK_THROWS_AS(all_reduce(on_meta, Reduce::sum, f.group, stream), InvalidArgument);
  CHECK_THROWS_AS(all_reduce(Tensor{}, Reduce::sum, f.group, stream), InvalidArgument);
  CHECK_THROWS_AS(broadcast(whole, f.n, f.group, stream), InvalidArgument);
  CHECK_THROWS_AS(broadcast(whole, -1, f.group, stream), InvalidArgument);
  CHECK_THROWS_AS(all_to_all(whole, whole, f.group, stream), InvalidArgument);
  CHECK_THROWS_AS(all_to_all(whole, part, f.group, stream), InvalidArgument);
  CHECK_THROWS_AS(send(whole, f.rank, f.group, stream), InvalidArgument);
  CHECK_THROWS_AS(receive(whole, f.n, f.group, stream), InvalidArgument);
  if (f.n > 1) {
    // One element beside the rank's own part of the output.
    Size const beside = f.rank == 0 ? 1 : f.rank * 8 - 1;
    CHECK_THROWS_AS(all_gather(whole.slice(0, beside, beside + 8), whole, f.group, stream),
                    InvalidArgument);
    CHECK_THROWS_AS(reduce_scatter(whole, whole.slice(0, beside, beside + 8), f.group, stream),
                    InvalidArgument);
  }
  CHECK(f.group.traffic() == Traffic{});
  all_reduce(on_meta, Reduce::sum, f.group, meta_stream);  // counted, not moved
  CHECK(f.group.traffic()[Collective::all_reduce].calls == 1);
}

TEST_CASE("an error says which operation, group and numbers") {
  Fixture f;
  std::vector<float> memory(static_cast<std::size_t>(8 * f.n + 1));
  try {
    all_gather(view(memory).slice(0, 0, 8), view(memory), f.group, f.streams[0]);
    FAIL("not refused");
  } catch (InvalidArgument const& error) {
    std::string const text = error.what();
    INFO(text);
    CHECK(text.find("all_gather over world, out") != std::string::npos);
    CHECK(text.find("8·" + std::to_string(f.n) + " = " + std::to_string(8 * f.n)) !=
          std::string::npos);
  }
}
