// SPDX-License-Identifier: Apache-2.0
#include "dsr/layout/axis.hpp"

#include <set>

#include "dsr/core/error.hpp"
#include "support/catch.hpp"
#include "support/text_of.hpp"

using namespace dsr;

TEST_CASE("axis sets are sets") {
  AxisSet const both = Axis::row | Axis::col;
  CHECK(both.has(Axis::row));
  CHECK(both.has(Axis::col));
  CHECK_FALSE(both.has(Axis::dp));
  CHECK(both == kModelAxes);
  CHECK((both - Axis::row) == AxisSet{Axis::col});
  CHECK((both & (Axis::dp | Axis::col)) == AxisSet{Axis::col});
  CHECK((both - kWorld).empty());
  CHECK((kModelAxes | Axis::dp | Axis::pp) == kWorld);
  CHECK(AxisSet{}.empty());
}

TEST_CASE("all products are the non-empty subsets of the axes, filed under their bits") {
  std::set<unsigned> seen;
  for (AxisSet axes : all_products()) {
    CHECK_FALSE(axes.empty());
    CHECK((axes - kWorld).empty());
    CHECK(all_products()[axes.bits() - 1] == axes);
    seen.insert(axes.bits());
  }
  CHECK(seen.size() == 15);
}

TEST_CASE("axes and products have names") {
  CHECK(name_of(Axis::dp) == "dp");
  CHECK(name_of(Axis::pp) == "pp");
  CHECK(to_string(AxisSet{Axis::col}) == "col");
  CHECK(to_string(Axis::col | Axis::row) == "row×col");
  CHECK(to_string(kModelAxes | Axis::dp) == "dp×row×col");
  CHECK(to_string(kWorld) == "world");
  CHECK(to_string(AxisSet{}) == "none");
}

TEST_CASE("an axis is read back from its name, and an unknown one is refused with the nearest") {
  for (Axis axis : kAllAxes) CHECK(parse_axis(name_of(axis)) == axis);
  CHECK(test::text_of<InvalidArgument>([] { parse_axis("rwo"); }) ==
        "dsr: axis: \"rwo\", allowed dp, pp, row, col; nearest row");
  CHECK_THROWS_AS(parse_axis(""), InvalidArgument);
}
