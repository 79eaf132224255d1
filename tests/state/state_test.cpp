// SPDX-License-Identifier: Apache-2.0
#include "dsr/state/state.hpp"

#include <vector>

#include "dsr/core/error.hpp"
#include "support/catch.hpp"
#include "support/text_of.hpp"

using namespace dsr;

namespace {
Shard const shard{{5, 3}, {{0, Axis::row, Remainder::pad}}, {.row = 2}};
}

TEST_CASE("a state lists what was added, in order") {
  std::vector<float> memory(9);
  std::string cursor = "epoch 1";
  State state;
  state.add("m/weight", shard, Tensor{memory.data(), {3, 3}, DType::f32, kCpu});
  state.add(
      "data/cursor", [&] { return cursor; }, [&](std::string const& text) { cursor = text; });
  REQUIRE(state.tensors().size() == 1);
  CHECK(state.tensors()[0].name == "m/weight");
  CHECK(state.tensors()[0].shard == shard);
  CHECK(state.tensors()[0].local.raw() == memory.data());
  REQUIRE(state.texts().size() == 1);
  CHECK(state.texts()[0].save() == "epoch 1");
  state.texts()[0].load("epoch 2");
  CHECK(cursor == "epoch 2");
}

TEST_CASE("a name is taken once, whatever it names") {
  std::vector<float> memory(9);
  Tensor const local{memory.data(), {3, 3}, DType::f32, kCpu};
  State state;
  auto add_text = [&](std::string name) {
    state.add(
        std::move(name), [] { return std::string{}; }, [](std::string const&) {});
  };
  state.add("a", shard, local);
  add_text("b");
  CHECK_THROWS_AS(state.add("a", shard, local), InvalidArgument);
  CHECK_THROWS_AS(state.add("b", shard, local), InvalidArgument);
  CHECK_THROWS_AS(add_text("a"), InvalidArgument);
  CHECK_THROWS_AS(add_text("b"), InvalidArgument);
}

TEST_CASE("a tensor must have the local shape") {
  std::vector<float> memory(15);
  State state;
  CHECK(test::text_of<InvalidArgument>([&] {
          state.add("m", shard, Tensor{memory.data(), {5, 3}, DType::f32, kCpu});
        }) == "dsr: state \"m\": tensor [5, 3], allowed [3, 3]");
  CHECK_THROWS_AS(state.add("m", shard, Tensor{}), InvalidArgument);
}

TEST_CASE("a part is a range of the local block, in one dimension") {
  std::vector<float> memory(9);
  Tensor const local{memory.data(), {9}, DType::f32, kCpu};
  auto const refused = [&](Deal deal, FlatRange held, Tensor const& part) {
    State state;
    CHECK_THROWS_AS(state.add_part("m", shard, deal, held, part), InvalidArgument);
  };
  Deal const deal{Axis::dp, {-4, 12}};
  State state;
  state.add_part("m", shard, deal, {2, 6}, local.slice(0, 2, 6));
  CHECK(state.tensors()[0].held == FlatRange{2, 6});
  CHECK(state.tensors()[0].deal == deal);
  CHECK_THROWS_AS(state.add_part("m", shard, deal, {2, 6}, local.slice(0, 2, 6)), InvalidArgument);
  refused({Axis::row, {0, 9}}, {2, 6}, local.slice(0, 2, 6));  // row cuts it
  refused(deal, {-1, 3}, local.slice(0, 0, 4));
  refused(deal, {6, 10}, local.slice(0, 0, 4));
  refused(deal, {6, 5}, local.slice(0, 0, 0));
  refused(deal, {2, 6}, local.slice(0, 2, 5));
  refused(deal, {2, 6}, local.slice(0, 2, 6).reshape({2, 2}));
  refused(deal, {2, 5}, local.reshape({3, 3}).slice(1, 0, 1).slice(0, 0, 3));
  refused(deal, {0, 0}, {});
}

TEST_CASE("a tensor with gaps is refused") {
  std::vector<float> memory(12);
  State state;
  Tensor const wide{memory.data(), {3, 4}, DType::f32, kCpu};
  CHECK_THROWS_AS(state.add("m", shard, wide.slice(1, 0, 3)), InvalidArgument);
}
