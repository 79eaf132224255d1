// SPDX-License-Identifier: Apache-2.0
#include "dsr/state/deal.hpp"

#include <limits>

#include "dsr/core/error.hpp"
#include "support/catch.hpp"

using namespace dsr;

TEST_CASE("the parts of a range follow each other and differ by at most one element") {
  for (Size elements : {0, 1, 5, 6, 7, 100}) {
    for (int parts : {1, 2, 3, 7}) {
      FlatRange const range{3, 3 + elements};
      Size end = range.begin;
      for (int number = 0; number < parts; ++number) {
        FlatRange const part = range.part(number, parts);
        CHECK(part.begin == end);
        CHECK(part.elements() >= elements / parts);
        CHECK(part.elements() <= (elements + parts - 1) / parts);
        end = part.end;
      }
      CHECK(end == range.end);
    }
  }
  FlatRange const huge{0, std::numeric_limits<Size>::max()};
  CHECK(huge.part(1'000'000, 1'000'001).end == huge.end);
}

TEST_CASE("there are no parts but 0 to parts - 1") {
  CHECK_THROWS_AS((FlatRange{0, 4}.part(-1, 2)), InvalidArgument);
  CHECK_THROWS_AS((FlatRange{0, 4}.part(2, 2)), InvalidArgument);
}

TEST_CASE("what two ranges share lies within the first, also if it is nothing") {
  FlatRange const range{10, 20};
  CHECK(range.common({5, 12}) == FlatRange{10, 12});
  CHECK(range.common({12, 25}) == FlatRange{12, 20});
  CHECK(range.common({12, 15}) == FlatRange{12, 15});
  CHECK(range.common({0, 30}) == range);
  for (FlatRange const& other : {FlatRange{0, 5}, FlatRange{0, 10}, FlatRange{20, 30},
                                 FlatRange{25, 30}, FlatRange{15, 15}}) {
    FlatRange const none = range.common(other);
    CHECK(none.elements() == 0);
    CHECK(none.begin >= range.begin);
    CHECK(none.end <= range.end);
  }
}

TEST_CASE("a range is written with its ends, and can be seen from elsewhere") {
  CHECK(to_string(FlatRange{3, 7}) == "[3, 7)");
  CHECK(FlatRange{3, 7}.seen_from(5) == FlatRange{-2, 2});
}
