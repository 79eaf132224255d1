// SPDX-License-Identifier: Apache-2.0
// A communication stream runs beside its caller, in order, with any number of operations pending.
#include <chrono>
#include <thread>
#include <vector>

#include "dsr/comm/collectives.hpp"
#include "support/catch.hpp"
#include "support/ranks.hpp"

using namespace dsr;

namespace {

Tensor view(std::vector<float>& x) {
  return Tensor{x.data(), {static_cast<Size>(x.size())}, DType::f32, kCpu};
}

}  // namespace

TEST_CASE("an operation completes while the caller computes") {
  Communicator& world = test::runtime().world();
  Stream exchange = test::runtime().communication_stream();
  REQUIRE(exchange.kind() == StreamKind::communication);
  std::vector<float> x(300000, 1.0F);
  wait_for_all(world);
  all_reduce(view(x), Reduce::sum, world, exchange);
  Event const done = exchange.record();
  // The caller works and never waits for the stream; only the worker can have finished it.
  double work = 0;
  auto const limit = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!done.done() && std::chrono::steady_clock::now() < limit) {
    for (int i = 1; i < 1000; ++i) work += 1.0 / i;
  }
  CHECK(done.done());
  CHECK(work >= 0);
  exchange.synchronize();
  CHECK(x == std::vector<float>(300000, static_cast<float>(world.size())));
}

TEST_CASE("issuing does not wait for the other ranks") {
  Communicator& world = test::runtime().world();
  Stream exchange = test::runtime().communication_stream();
  std::vector<float> x(100, 1.0F);
  wait_for_all(world);
  if (world.rank() == 0) std::this_thread::sleep_for(std::chrono::milliseconds(300));
  auto const begin = std::chrono::steady_clock::now();
  all_reduce(view(x), Reduce::sum, world, exchange);
  double const issue_s =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  exchange.synchronize();
  double const total_s =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  CHECK(x[99] == static_cast<float>(world.size()));
  if (world.rank() != 0) {
    CHECK(total_s > 0.15);
    CHECK(issue_s < total_s);
  }
}

TEST_CASE("many operations may be pending and run in order") {
  Communicator& world = test::runtime().world();
  Stream compute{kCpu};
  Stream exchange = test::runtime().communication_stream();
  int const n = world.size();
  std::vector<float> x(64, 1.0F);
  std::vector<float> gathered(64 * static_cast<std::size_t>(n));
  exchange.wait(compute.record());
  int const rounds = 200;
  for (int i = 0; i < rounds; ++i) {
    // 1 → 1 + … : each round depends on the one before.
    all_reduce(view(x), Reduce::max, world, exchange);
    all_gather(view(x), view(gathered), world, exchange);
    exchange.run([&x] { x[0] += 1; });
  }
  CHECK(world.last().operation == Collective::all_gather);
  compute.wait(exchange.record());
  CHECK(x[0] == 1.0F + rounds);
  for (int r = 0; r < n; ++r) CHECK(gathered[static_cast<std::size_t>(r) * 64] == rounds);
}
