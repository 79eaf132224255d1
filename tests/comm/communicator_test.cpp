// SPDX-License-Identifier: Apache-2.0
#include "dsr/comm/communicator.hpp"

#include <vector>

#include "dsr/comm/collectives.hpp"
#include "dsr/comm/mpi.hpp"
#include "dsr/core/error.hpp"
#include "dsr/mpi.hpp"
#include "support/catch.hpp"
#include "support/ranks.hpp"

using namespace dsr;

namespace {

Tensor view(std::vector<float>& x) {
  return Tensor{x.data(), {static_cast<Size>(x.size())}, DType::f32, kCpu};
}

/// One of each, on any group.
void call_all(Communicator& group, Stream& stream, std::vector<float>& small,
              std::vector<float>& large, std::vector<float>& other) {
  all_gather(view(small), view(large), group, stream);
  reduce_scatter(view(large), view(small), group, stream);
  all_reduce(view(large), Reduce::sum, group, stream);
  all_reduce(view(small), Reduce::max, group, stream);
  broadcast(view(small), group.size() - 1, group, stream);
  all_to_all(view(large), view(other), group, stream);
}

}  // namespace

TEST_CASE("traffic is what a ring would send, and what the meta group counts") {
  Communicator group = test::runtime().world().split(0, test::runtime().rank(), "copy");
  int const n = group.size();
  std::vector<float> small(7);
  std::vector<float> large(static_cast<std::size_t>(7 * n));
  std::vector<float> other(large.size());
  Stream stream = test::runtime().communication_stream();
  call_all(group, stream, small, large, other);
  // Counted when issued, whether it has run or not.
  Traffic const traffic = group.traffic();
  stream.synchronize();
  CHECK(group.traffic() == traffic);

  Size const e = 7;
  CHECK(traffic[Collective::all_gather] ==
        TrafficCount{1, e, ring_elements(Collective::all_gather, e, n), 4 * e * (n - 1)});
  CHECK(traffic[Collective::all_reduce].calls == 2);
  CHECK(traffic[Collective::all_reduce].sent == 2 * (n - 1) * e + 2 * (n - 1) * ceil_div(e, n));

  Communicator meta = Communicator::meta("copy", group.rank(), n);
  Stream meta_stream{kMeta};
  call_all(meta, meta_stream, small, large, other);
  CHECK(meta.traffic() == traffic);
  CHECK(meta.last().sequence == group.last().sequence);
  group.reset_traffic();
  CHECK(group.traffic() == Traffic{});
}

TEST_CASE("the ring knows the last call; seconds are told apart by thread") {
  Communicator group = test::runtime().world().split(0, test::runtime().rank(), "copy");
  CHECK(group.last().sequence == 0);
  std::vector<float> x(5000, 1.0F);
  Stream compute{kCpu};
  all_reduce(view(x), Reduce::sum, group, compute);
  CHECK(group.last().sequence == 1);
  CHECK(group.last().operation == Collective::all_reduce);
  CHECK(group.last().bytes == 20000);
  if (group.size() == 1) return;
  CHECK(group.busy_s() > 0);
  CHECK(group.inline_s() == group.busy_s());

  double const inline_s = group.inline_s();
  Stream exchange = test::runtime().communication_stream();
  if (exchange.kind() != StreamKind::communication) return;
  all_reduce(view(x), Reduce::sum, group, exchange);
  exchange.synchronize();
  CHECK(group.busy_s() > inline_s);
  CHECK(group.inline_s() == inline_s);
}

TEST_CASE("split by colour, ordered by key") {
  Communicator& world = test::runtime().world();
  int const rank = world.rank();
  int const n = world.size();
  Communicator group = world.split(rank % 2, -rank, rank % 2 == 0 ? "even" : "odd");
  CHECK(group.size() == (n + 1 - rank % 2) / 2);
  CHECK(group.rank() == group.size() - 1 - rank / 2);
  CHECK(group.name() == (rank % 2 == 0 ? "even" : "odd"));
  CHECK(group.device() == kCpu);

  std::vector<float> x{static_cast<float>(rank)};
  Stream stream{kCpu};
  broadcast(view(x), 0, group, stream);
  int const highest = rank % 2 == (n - 1) % 2 ? n - 1 : n - 2;
  CHECK(x[0] == static_cast<float>(highest));
  CHECK_THROWS_AS(world.split(-1, 0, "none"), InvalidArgument);
}

TEST_CASE("groups on separate streams do not disturb each other") {
  Communicator& world = test::runtime().world();
  Communicator a = world.split(0, world.rank(), "a");
  Communicator b = world.split(0, world.rank(), "b");
  Stream exchange = test::runtime().communication_stream();
  Stream compute{kCpu};
  std::vector<float> x(20000, 1.0F);
  std::vector<float> y(20000, 2.0F);
  for (int i = 0; i < 20; ++i) {
    all_reduce(view(x), Reduce::max, a, exchange);
    all_reduce(view(y), Reduce::min, b, compute);
  }
  exchange.synchronize();
  CHECK(x == std::vector<float>(20000, 1.0F));
  CHECK(y == std::vector<float>(20000, 2.0F));
}

TEST_CASE("a group over a communicator of one's own") {
  Communicator self = communicator(MPI_COMM_SELF, "self");
  CHECK(self.size() == 1);
  CHECK(self.name() == "self");
  Communicator part = self.split(3, 0, "part");
  std::vector<float> x{1, 2, 3};
  std::vector<float> out(3);
  Stream stream{kCpu};
  all_gather(view(x), view(out), part, stream);
  CHECK(out == x);
  all_reduce(view(x), Reduce::sum, self, stream);
  CHECK(x == out);

  Communicator mine = communicator(native_mpi(test::runtime().world()), "mine", 30);
  CHECK(mine.size() == test::runtime().size());
  CHECK(all_reduce_value(1, Reduce::sum, mine) == mine.size());
  int answer = MPI_UNEQUAL;
  MPI_Comm_compare(native_mpi(mine), MPI_COMM_WORLD, &answer);
  CHECK(answer == MPI_CONGRUENT);

  CHECK_THROWS_AS(native_mpi(Communicator::meta("row", 0, 2)), InvalidArgument);
  CHECK_THROWS_AS(communicator(MPI_COMM_SELF, "self", 0), InvalidArgument);
}
