// SPDX-License-Identifier: Apache-2.0
#include "dsr/core/bf16.hpp"

#include <cmath>
#include <limits>

#include "dsr/core/tensor.hpp"
#include "support/catch.hpp"

namespace dsr {
namespace {

float round_trip(float x) { return static_cast<float>(Bf16{x}); }

TEST_CASE("values with eight significant bits are kept") {
  for (float x : {0.0F, 1.0F, -2.5F, 255.0F, 0x1p-126F, 0x1.FEp127F}) CHECK(round_trip(x) == x);
  CHECK(std::signbit(round_trip(-0.0F)));
}

TEST_CASE("rounding is to nearest, ties to even") {
  float const unit = 0x1p-7F;  // between neighbours of 1
  CHECK(round_trip(1 + 0.49F * unit) == 1);
  CHECK(round_trip(1 + 0.51F * unit) == 1 + unit);
  CHECK(round_trip(1 + 0.5F * unit) == 1);
  CHECK(round_trip(1 + 1.5F * unit) == 1 + 2 * unit);
  for (float x = 0.1F; x < 1e6F; x *= 1.7F) CHECK(std::abs(round_trip(x) / x - 1) <= 0x1p-8F);
}

TEST_CASE("infinities and NaN") {
  CHECK(std::isinf(round_trip(std::numeric_limits<float>::infinity())));
  CHECK(std::isinf(round_trip(std::numeric_limits<float>::max())));
  CHECK(std::isnan(round_trip(std::numeric_limits<float>::quiet_NaN())));
  // A payload that lies in the dropped bits only.
  CHECK(std::isnan(round_trip(std::bit_cast<float>(0x7F800001U))));
}

TEST_CASE("a tensor of bf16 can be read as such") {
  Bf16 values[2] = {Bf16{1.0F}, Bf16{2.0F}};
  Tensor const t{values, {2}, DType::bf16, kCpu};
  CHECK(static_cast<float>(t.data<Bf16>()[1]) == 2.0F);
  CHECK(t.bytes() == 4);
}

}  // namespace
}  // namespace dsr
