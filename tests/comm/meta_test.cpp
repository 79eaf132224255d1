// SPDX-License-Identifier: Apache-2.0
#include "dsr/comm/agree.hpp"
#include "dsr/comm/collectives.hpp"
#include "dsr/core/buffer.hpp"
#include "dsr/core/error.hpp"
#include "support/catch.hpp"

using namespace dsr;

TEST_CASE("a meta group counts and moves nothing") {
  Communicator group = Communicator::meta("row", 1, 3);
  CHECK(group.rank() == 1);
  CHECK(group.size() == 3);
  CHECK(group.name() == "row");
  CHECK(group.device() == kMeta);
  CHECK(group.last().sequence == 0);
  Buffer const memory(1 << 20, kMeta);
  Tensor const whole{memory.data(), {6, 5}, DType::f32, kMeta};
  Stream stream{kMeta};
  all_gather(whole.slice(0, 2, 4), whole, group, stream);
  reduce_scatter(whole, whole.slice(0, 2, 4), group, stream);
  all_reduce(whole, Reduce::max, group, stream);
  broadcast(whole, 2, group, stream);
  all_to_all(whole, Tensor{memory.data(), {6, 5}, DType::f32, kMeta}, group, stream);
  send(whole, 0, group, stream);
  receive(whole, 2, group, stream);
  stream.synchronize();

  Traffic const traffic = group.traffic();
  CHECK(traffic[Collective::all_gather] == TrafficCount{1, 10, 20, 80});
  CHECK(traffic[Collective::reduce_scatter] == TrafficCount{1, 10, 20, 80});
  CHECK(traffic[Collective::all_reduce] == TrafficCount{1, 30, 40, 160});
  CHECK(traffic[Collective::broadcast] == TrafficCount{1, 30, 30, 120});
  CHECK(traffic[Collective::all_to_all] == TrafficCount{1, 30, 20, 80});
  CHECK(traffic[Collective::send] == TrafficCount{1, 30, 30, 120});
  CHECK(traffic[Collective::receive] == TrafficCount{1, 30, 0, 0});
  CHECK(group.last().sequence == 7);
  CHECK(group.last().operation == Collective::receive);
  CHECK(group.last().bytes == 120);
  CHECK(group.busy_s() == 0.0);
  group.reset_traffic();
  CHECK(group.traffic() == Traffic{});
}

TEST_CASE("a meta group checks shapes as others do") {
  Communicator group = Communicator::meta("row", 0, 3);
  Buffer const memory(1 << 10, kMeta);
  Stream stream{kMeta};
  Tensor const x{memory.data(), {4}, DType::f32, kMeta};
  CHECK_THROWS_AS(all_gather(x, x, group, stream), InvalidArgument);
  CHECK_THROWS_AS(reduce_scatter(x, x, group, stream), InvalidArgument);
  CHECK_THROWS_AS(broadcast(x, 3, group, stream), InvalidArgument);
  CHECK(group.traffic() == Traffic{});
}

TEST_CASE("control on a meta group is this rank's own") {
  Communicator group = Communicator::meta("world", 1, 3);
  wait_for_all(group);
  CHECK(all_reduce_value(2.5, Reduce::sum, group) == 2.5);
  CHECK(broadcast_text("mine", 0, group) == "mine");
  CHECK(gather_texts("mine", group) == std::vector<std::string>(3, "mine"));
  CHECK_THROWS_AS(agree(group, [] { throw IoError("dsr: file: gone"); }), AgreedError);
  CHECK(group.traffic() == Traffic{});
}

TEST_CASE("what a meta group cannot be asked") {
  CHECK_THROWS_AS(Communicator::meta("row", 3, 3), InvalidArgument);
  CHECK_THROWS_AS(Communicator::meta("row", -1, 3), InvalidArgument);
  CHECK_THROWS_AS(Communicator::meta("row", 0, 0), InvalidArgument);
  CHECK_THROWS_AS(Communicator::meta("row", 0, 3).split(0, 0, "part"), InvalidArgument);
}
