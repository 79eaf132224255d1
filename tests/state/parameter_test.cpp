// SPDX-License-Identifier: Apache-2.0
#include "dsr/state/parameter.hpp"

#include <array>

#include "dsr/core/error.hpp"
#include "support/catch.hpp"

using namespace dsr;

TEST_CASE("a parameter has memory only once it is bound") {
  Parameter weight{Shard{{4}, {{0, Axis::row}}, {.row = 2}}, {.init = normal_init(0.5)}};
  CHECK(weight.index() == -1);
  CHECK_THROWS_AS(weight.value(), InvalidArgument);
  CHECK_THROWS_AS(weight.gradient(), InvalidArgument);
  std::array<float, 4> memory{};
  weight.bind("a/weight", 3, Tensor{memory.data(), {2}, DType::f32, kCpu},
              Tensor{memory.data() + 2, {2}, DType::f32, kCpu});
  CHECK(weight.name() == "a/weight");
  CHECK(weight.index() == 3);
  CHECK(weight.value().raw() == memory.data());
  CHECK(weight.gradient().raw() == memory.data() + 2);
}

TEST_CASE("traits that contradict each other are refused") {
  Shard const shard{{4}, {{0, Axis::row}}, {.row = 2}};
  CHECK_THROWS_AS(Parameter(shard, {.partial_over = Axis::dp | Axis::row}), InvalidArgument);
  CHECK_THROWS_AS(Parameter(shard, {.uses = 0}), InvalidArgument);
}

TEST_CASE("initial values are described by mean and standard deviation") {
  CHECK(normal_init(0.02) == Init{0, 0.02});
  CHECK(constant_init(1) == Init{1, 0});
}
