// SPDX-License-Identifier: Apache-2.0
// The blocking helpers for host values and text.
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "dsr/comm/agree.hpp"
#include "dsr/comm/collectives.hpp"
#include "dsr/core/error.hpp"
#include "support/catch.hpp"
#include "support/ranks.hpp"

using namespace dsr;

TEST_CASE("values") {
  Communicator& world = test::runtime().world();
  int const n = world.size();
  double const mine = world.rank() + 0.25;
  CHECK(all_reduce_value(mine, Reduce::sum, world) == n * (n - 1) / 2.0 + n * 0.25);
  CHECK(all_reduce_value(mine, Reduce::max, world) == n - 0.75);
  CHECK(all_reduce_value(mine, Reduce::min, world) == 0.25);
}

TEST_CASE("texts") {
  Communicator& world = test::runtime().world();
  int const n = world.size();
  for (int root = 0; root < n; ++root) {
    std::string const text = "from " + std::string(static_cast<std::size_t>(root * 1000), 'x');
    CHECK(broadcast_text(world.rank() == root ? text : "a text of another length", root, world) ==
          text);
  }
  CHECK(broadcast_text("", 0, world).empty());
  CHECK_THROWS_AS(broadcast_text("", n, world), InvalidArgument);

  // Of different lengths, one of them empty and one with a zero byte.
  auto const text_of = [](int rank) {
    return std::string(static_cast<std::size_t>(rank * 3), static_cast<char>('a' + rank)) +
           (rank == 1 ? std::string(1, '\0') : std::string());
  };
  std::vector<std::string> const texts = gather_texts(text_of(world.rank()), world);
  REQUIRE(static_cast<int>(texts.size()) == n);
  for (int rank = 0; rank < n; ++rank)
    CHECK(texts[static_cast<std::size_t>(rank)] == text_of(rank));
}

TEST_CASE("control enters the ring and no traffic") {
  Communicator group = test::runtime().world().split(0, test::runtime().rank(), "copy");
  wait_for_all(group);
  CHECK(group.last().operation == Collective::barrier);
  CHECK(group.last().sequence == 1);
  all_reduce_value(1, Reduce::sum, group);
  CHECK(group.last().operation == Collective::all_reduce);
  CHECK(group.last().bytes == 8);
  CHECK(group.traffic() == Traffic{});
}

TEST_CASE("nobody leaves before all have come") {
  Communicator& world = test::runtime().world();
  // Each rank tells its time of arrival and of leaving; on one host the clocks are one.
  for (int late = 0; late < world.size(); ++late) {
    auto const now = [] {
      return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
          .count();
    };
    if (world.rank() == late) std::this_thread::sleep_for(std::chrono::milliseconds(20));
    double const arrival = now();
    wait_for_all(world);
    double const leaving = now();
    CHECK(all_reduce_value(leaving, Reduce::min, world) >=
          all_reduce_value(arrival, Reduce::max, world));
  }
}

TEST_CASE("an error of one rank is the error of all") {
  Communicator& world = test::runtime().world();
  int const last = world.size() - 1;
  int runs = 0;
  agree(world, [&] { ++runs; });
  CHECK(runs == 1);
  try {
    agree(world, [&] {
      if (world.rank() == last) throw CorruptData("dsr: file: broken");
    });
    FAIL("not thrown");
  } catch (AgreedError const& error) {
    CHECK(error.what() == std::string("dsr: file: broken"));
    CHECK(error.exit_code() == 65);
  }
}

TEST_CASE("bytes from one rank to another") {
  Communicator& world = test::runtime().world();
  int const n = world.size(), rank = world.rank();
  std::vector<std::byte> bytes(3, static_cast<std::byte>(rank));
  CHECK_THROWS_AS(send_bytes(bytes, rank, world), InvalidArgument);
  CHECK_THROWS_AS(receive_bytes(bytes, n, world), InvalidArgument);
  for (int to = 1; to < n; ++to) {
    if (rank == 0) send_bytes(bytes, to, world);
    if (rank != to) continue;
    receive_bytes(bytes, 0, world);
    CHECK(bytes == std::vector<std::byte>(3, std::byte{0}));
  }
}
