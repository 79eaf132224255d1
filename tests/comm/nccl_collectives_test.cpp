// SPDX-License-Identifier: Apache-2.0
// Every collective on CUDA tensors, over real NCCL, against the oracle of the CPU's tests.
#include <chrono>
#include <cmath>
#include <limits>

#include "comm/collectives_oracle.hpp"
#include "dsr/core/bf16.hpp"
#include "dsr/core/error.hpp"
#include "dsr/cuda.hpp"
#include "dsr/mpi.hpp"
#include "support/catch.hpp"
#include "support/on_device.hpp"
#include "support/ranks.hpp"

using namespace dsr;
using namespace dsr::test;

namespace {

// Fewer than on the CPU: without MPS each call waits for time slices where ranks share a GPU.
constexpr Size kFewSizes[] = {1, 1031, 150001};

/// Sums over 8 ranks are exact in bf16, and fit into a byte.
template <class T>
T value(int rank, Size i) {
  if constexpr (std::is_same_v<T, Bf16>) {
    return Bf16{static_cast<float>(input<std::int32_t>(rank, i) % 17)};
  } else if constexpr (std::is_same_v<T, std::uint8_t>) {
    return static_cast<T>((input<std::int32_t>(rank, i) + 50000) % 29);
  } else {
    return input<T>(rank, i);
  }
}

template <class T>
std::vector<T> values(int rank, Size n) {
  std::vector<T> x;
  for (Size i = 0; i < n; ++i) x.push_back(value<T>(rank, i));
  return x;
}

template <class T>
double number(T x) {
  if constexpr (std::is_same_v<T, Bf16>)
    return static_cast<float>(x);
  else
    return static_cast<double>(x);
}

/// The reduction at i, and how far a sum in another order may be from it.
struct Expected {
  double value = 0, tolerance = 0;
};

template <class T>
Expected reduction(Size i, int ranks, Reduce operation) {
  Expected expected{number(value<T>(0, i)), 0};
  double magnitude = std::abs(expected.value);
  for (int rank = 1; rank < ranks; ++rank) {
    double const each = number(value<T>(rank, i));
    magnitude += std::abs(each);
    if (operation == Reduce::sum) expected.value += each;
    if (operation == Reduce::max) expected.value = std::max(expected.value, each);
    if (operation == Reduce::min) expected.value = std::min(expected.value, each);
  }
  if constexpr (std::is_floating_point_v<T>) {
    double const rounding = ranks * magnitude * double{std::numeric_limits<T>::epsilon()};
    if (operation == Reduce::sum) expected.tolerance = rounding;
  }
  return expected;
}

struct Fixture {
  Communicator group = test::runtime().world();
  int rank = group.rank();
  int n = group.size();
  Stream stream = test::runtime().communication_stream();
};

/// How many elements of x are not the reduction of elements [begin, …).
template <class T>
Size wrong(std::vector<T> const& x, Size begin, int ranks, Reduce operation) {
  Size count = 0;
  for (Size i = 0; i < std::ssize(x); ++i) {
    Expected const expected = reduction<T>(begin + i, ranks, operation);
    if (!(std::abs(number(x[static_cast<std::size_t>(i)]) - expected.value) <= expected.tolerance))
      ++count;
  }
  return count;
}

}  // namespace

TEST_CASE("a group on CUDA") {
  Fixture f;
  CHECK(test::runtime().device().kind == Device::Kind::cuda);
  CHECK(f.group.device() == test::runtime().device());
  CHECK(f.stream.device() == test::runtime().device());
  CHECK((native_nccl(f.group) != nullptr) == (f.n > 1));
  int size = 0;
  MPI_Comm_size(native_mpi(f.group), &size);
  CHECK(size == f.n);
  CHECK_THROWS_AS(native_nccl(Communicator::meta("row", 0, 2)), InvalidArgument);
}

TEMPLATE_TEST_CASE("all_gather puts blocks in rank order on CUDA", "", float, Bf16, std::int64_t) {
  Fixture f;
  for (Size const e : kFewSizes) {
    std::vector<TestType> expected;
    for (int r = 0; r < f.n; ++r) {
      auto const block = values<TestType>(r, e);
      expected.insert(expected.end(), block.begin(), block.end());
    }
    OnDevice<TestType> x{values<TestType>(f.rank, e), f.stream};
    OnDevice<TestType> out{std::vector<TestType>(expected.size()), f.stream};
    all_gather(x.tensor(), out.tensor(), f.group, f.stream);
    CHECK(same_bits(out.read(), expected));

    std::vector<TestType> mine(expected.size());
    for (Size i = 0; i < e; ++i)
      mine[static_cast<std::size_t>(f.rank * e + i)] = value<TestType>(f.rank, i);
    OnDevice<TestType> whole{mine, f.stream};
    all_gather(whole.tensor().slice(0, f.rank * e, (f.rank + 1) * e), whole.tensor(), f.group,
               f.stream);
    CHECK(same_bits(whole.read(), expected));
  }
}

TEMPLATE_TEST_CASE("reduce_scatter on CUDA", "", float, Bf16, double) {
  Fixture f;
  for (Size const e : kFewSizes) {
    OnDevice<TestType> x{values<TestType>(f.rank, f.n * e), f.stream};
    OnDevice<TestType> out{std::vector<TestType>(static_cast<std::size_t>(e)), f.stream};
    reduce_scatter(x.tensor(), out.tensor(), f.group, f.stream);
    CHECK(wrong(out.read(), f.rank * e, f.n, Reduce::sum) == 0);
    CHECK(same_bits(x.read(), values<TestType>(f.rank, f.n * e)));

    Size const begin = f.rank * e;
    reduce_scatter(x.tensor(), x.tensor().slice(0, begin, begin + e), f.group, f.stream);
    std::vector<TestType> const& all = x.read();
    CHECK(wrong(std::vector<TestType>(all.begin() + begin, all.begin() + begin + e), begin, f.n,
                Reduce::sum) == 0);
  }
}

TEMPLATE_TEST_CASE("all_reduce on CUDA: right, and the same bits on all ranks", "", float, double,
                   Bf16, std::int32_t, std::int64_t, std::uint8_t) {
  Fixture f;
  for (Reduce const operation : {Reduce::sum, Reduce::max, Reduce::min}) {
    for (Size const e : kFewSizes) {
      OnDevice<TestType> x{values<TestType>(f.rank, e), f.stream};
      all_reduce(x.tensor(), operation, f.group, f.stream);
      std::vector<TestType> const mine = x.read();
      CHECK(wrong(mine, 0, f.n, operation) == 0);
      broadcast(x.tensor(), 0, f.group, f.stream);
      CHECK(same_bits(x.read(), mine));
    }
  }
}

TEST_CASE("broadcast, all_to_all, and a ring of send and receive on CUDA") {
  Fixture f;
  for (int root = 0; root < f.n; ++root) {
    OnDevice<float> x{values<float>(f.rank, 1031), f.stream};
    broadcast(x.tensor(), root, f.group, f.stream);
    CHECK(same_bits(x.read(), values<float>(root, 1031)));
  }
  for (Size const e : kFewSizes) {
    OnDevice<double> x{values<double>(f.rank, f.n * e), f.stream};
    OnDevice<double> out{std::vector<double>(static_cast<std::size_t>(f.n * e)), f.stream};
    all_to_all(x.tensor(), out.tensor(), f.group, f.stream);
    std::vector<double> expected;
    for (int r = 0; r < f.n; ++r) {
      for (Size i = 0; i < e; ++i) expected.push_back(value<double>(r, f.rank * e + i));
    }
    CHECK(same_bits(out.read(), expected));
  }
  if (f.n == 1) return;
  int const next = (f.rank + 1) % f.n;
  int const previous = (f.rank + f.n - 1) % f.n;
  OnDevice<float> mine{values<float>(f.rank, 1031), f.stream};
  OnDevice<float> got{std::vector<float>(1031), f.stream};
  if (f.rank == 0) send(mine.tensor(), next, f.group, f.stream);
  receive(got.tensor(), previous, f.group, f.stream);
  if (f.rank != 0) send(mine.tensor(), next, f.group, f.stream);
  CHECK(same_bits(got.read(), values<float>(previous, 1031)));
}

TEST_CASE("groups split from the world, on streams of their own, ordered by events") {
  Fixture f;
  Communicator const part = f.group.split(f.rank % 2, -f.rank, f.rank % 2 == 0 ? "even" : "odd");
  Communicator const copy = f.group.split(0, f.rank, "copy");
  Communicator const alone = f.group.split(f.rank, 0, "alone");
  int const members = (f.n + 1 - f.rank % 2) / 2;
  CHECK(part.size() == members);
  CHECK(part.rank() == members - 1 - f.rank / 2);
  CHECK(part.device() == test::runtime().device());
  CHECK(native_nccl(alone) == nullptr);
  CHECK(native_nccl(copy) == native_nccl(f.group));  // the same ranks in the same order

  Stream compute{test::runtime().device()};
  Stream second = test::runtime().communication_stream();
  OnDevice<float> x{std::vector<float>(70001, 1.0F), compute};
  f.stream.wait(compute.record());
  Communicator first_group = part;
  Communicator second_group = copy;
  for (int i = 0; i < 5; ++i) {
    all_reduce(x.tensor(), Reduce::max, first_group, f.stream);
    second.wait(f.stream.record());
    all_reduce(x.tensor(), Reduce::sum, second_group, second);
    f.stream.wait(second.record());
  }
  compute.wait(f.stream.record());
  CHECK(x.read() == std::vector<float>(70001, static_cast<float>(std::pow(f.n, 5))));

  Communicator self = alone;
  OnDevice<float> out{std::vector<float>(70001), compute};
  all_gather(x.tensor(), out.tensor(), self, compute);
  CHECK(out.read() == x.read());
}

TEST_CASE("traffic is counted as on every device, and control travels beside") {
  Fixture f;
  Communicator group = f.group.split(0, f.rank, "copy");
  Communicator meta = Communicator::meta("copy", f.rank, f.n);
  Stream meta_stream{kMeta};
  OnDevice<Bf16> x{std::vector<Bf16>(static_cast<std::size_t>(8 * f.n)), f.stream};
  all_reduce(x.tensor(), Reduce::sum, group, f.stream);
  all_reduce(x.tensor(), Reduce::sum, meta, meta_stream);
  reduce_scatter(x.tensor(), x.tensor().slice(0, 8 * f.rank, 8 * f.rank + 8), group, f.stream);
  reduce_scatter(x.tensor(), x.tensor().slice(0, 8 * f.rank, 8 * f.rank + 8), meta, meta_stream);
  f.stream.synchronize();
  CHECK(group.traffic() == meta.traffic());
  CHECK(group.last().sequence == 2);
  CHECK(all_reduce_value(1, Reduce::sum, group) == f.n);
  wait_for_all(group);
}

TEST_CASE("the time of collectives is measured on the device once somebody asks") {
  Fixture f;
  Communicator group = f.group.split(0, f.rank, "copy");
  Stream compute{test::runtime().device()};
  OnDevice<float> x{std::vector<float>(1U << 20U, 1.0F), f.stream};
  auto const reduce = [&](Stream& stream) {
    auto const start = std::chrono::steady_clock::now();
    all_reduce(x.tensor(), Reduce::max, group, stream);
    stream.synchronize();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  reduce(f.stream);
  double const busy = group.busy_s(), in_line = group.inline_s();
  double const limit = reduce(f.stream), beside = group.busy_s() - busy;
  CHECK((beside > 0) == (f.n > 1));
  CHECK(beside <= limit);
  CHECK(group.inline_s() == in_line);
  double const inline_limit = reduce(compute), found = group.inline_s() - in_line;
  CHECK((found > 0) == (f.n > 1));
  CHECK(found <= inline_limit);
  CHECK(group.busy_s() - busy == test::Approx(beside + found));
}

TEST_CASE("tensors and streams of another device are refused") {
  Fixture f;
  std::vector<float> host(4);
  Tensor const on_host{host.data(), {4}, DType::f32, kCpu};
  OnDevice<float> x{host, f.stream};
  Stream cpu{kCpu};
  CHECK_THROWS_AS(all_reduce(on_host, Reduce::sum, f.group, f.stream), InvalidArgument);
  CHECK_THROWS_AS(all_reduce(x.tensor(), Reduce::sum, f.group, cpu), InvalidArgument);
}

TEST_CASE("a rank that stays silent is a CommError to those who wait, and the group is dead") {
  if (test::runtime().size() == 1) return;
  Device const device = test::runtime().device();
  {
    Runtime runtime =
        runtime_on(MPI_COMM_WORLD, {.device = {Device::Kind::cuda, 0}, .timeout_s = 5});
    Communicator group = runtime.world();
    Stream stream = runtime.communication_stream();
    OnDevice<float> x{std::vector<float>(1031, 1.0F), stream};
    all_reduce(x.tensor(), Reduce::sum, group, stream);
    stream.synchronize();
    if (runtime.rank() == 0) {
      Stream compute{device};
      all_reduce(x.tensor(), Reduce::sum, group, stream);
      compute.wait(stream.record());
      CHECK_THROWS_AS(compute.synchronize(), CommError);
      CHECK_THROWS_AS(all_reduce(x.tensor(), Reduce::sum, group, stream), CommError);
    }
    wait_for_all(test::runtime().world());
  }
  CHECK(all_reduce_value(1, Reduce::sum, test::runtime().world()) == test::runtime().size());
}
