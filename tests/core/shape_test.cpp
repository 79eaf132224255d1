// SPDX-License-Identifier: Apache-2.0
#include "dsr/core/shape.hpp"

#include "dsr/core/error.hpp"
#include "support/catch.hpp"

using namespace dsr;

TEST_CASE("a shape counts from both ends") {
  Shape const shape{2, 3, 5};
  CHECK(shape.rank() == 3);
  CHECK(shape[0] == 2);
  CHECK(shape[2] == 5);
  CHECK(shape[-1] == 5);
  CHECK(shape[-3] == 2);
  CHECK(shape.elements() == 30);
  CHECK(to_string(shape) == "[2, 3, 5]");
  CHECK_THROWS_AS(shape[3], InvalidArgument);
  CHECK_THROWS_AS(shape[-4], InvalidArgument);
}

TEST_CASE("a shape without dimensions has one element") {
  Shape const scalar;
  CHECK(scalar.rank() == 0);
  CHECK(scalar.elements() == 1);
  CHECK(to_string(scalar) == "[]");
  CHECK_THROWS_AS(scalar[0], InvalidArgument);
  CHECK_THROWS_AS(scalar[-1], InvalidArgument);
  CHECK_THROWS_AS(scalar.inner(), InvalidArgument);
}

TEST_CASE("shapes derived from shapes compare equal to those made directly") {
  CHECK(Shape{2, 3}.with(0, 7) == Shape{7, 3});
  CHECK(Shape{2, 3}.with(-1, 0) == Shape{2, 0});
  CHECK(Shape{2, 3, 5}.inner() == Shape{3, 5});
  CHECK(Shape{2, 3, 5}.inner().inner().inner() == Shape{});
  CHECK_FALSE(Shape{2} == Shape{2, 1});
  CHECK(Shape{2, 0}.elements() == 0);
  CHECK_THROWS_AS((Shape{2, 3}.with(2, 1)), InvalidArgument);
  CHECK_THROWS_AS((Shape{2, 3}.with(0, -1)), InvalidArgument);
}

TEST_CASE("a shape refuses what it cannot hold") {
  CHECK_NOTHROW(Shape{1, 2, 3, 4, 5, 6});
  CHECK_THROWS_AS((Shape{1, 2, 3, 4, 5, 6, 7}), InvalidArgument);
  CHECK_THROWS_AS((Shape{2, -1}), InvalidArgument);
}

TEST_CASE("division and rounding go up") {
  for (Size unit : {1, 3, 128}) {
    for (Size a = 0; a < 300; ++a) {
      Size least = 0;
      while (least * unit < a) ++least;
      CHECK(ceil_div(a, unit) == least);
      CHECK(round_up(a, unit) == least * unit);
    }
  }
}
