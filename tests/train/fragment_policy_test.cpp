// SPDX-License-Identifier: Apache-2.0
#include "dsr/train/fragment_policy.hpp"

#include <array>

#include "dsr/core/error.hpp"
#include "libdsr/train/fragment_text.hpp"
#include "support/catch.hpp"

namespace dsr {

TEST_CASE("1.3B parameters on one H200 with 16 micro-batches: fragments do not pay") {
  // 4.2 h between failures, 95 ms a fragment; a step of 8.34 s is the one in which 2.3 ms are
  // saved.
  FragmentCosts costs{.copy_s = 0.095, .write_s = 2.6, .step_s = 8.34, .mttf_s = 4.2 * 3600};
  FragmentDecision const decision = decide(costs);
  CHECK_FALSE(decision.worth_it);
  CHECK(decision.saved_s == test::Approx(0.0023).epsilon(0.001));
  CHECK(decision.interval_s == test::Approx(53.6).epsilon(0.001));
  CHECK(to_string(costs) ==
        "a fragment costs 95 ms (written in 2.6 s) and would save 2.3 ms of a step (8.3 s) at an "
        "MTTF of 4h 12m; the best interval is 53.6 s");
  costs.write_s = 0;
  CHECK_FALSE(decide(costs).worth_it);
  CHECK(to_string(costs).starts_with("a fragment costs 95 ms and would save 2.3 ms of"));
}

TEST_CASE("Long steps, cheap fragments and frequent failures make them worth it") {
  FragmentCosts costs{.copy_s = 0.02, .write_s = 1, .step_s = 240, .mttf_s = 3600};
  CHECK(decide(costs).worth_it);
  CHECK(decide(costs).interval_s == test::Approx(12));
  costs.write_s = 100;  // no faster than the disk
  CHECK(decide(costs).interval_s == 100);
  CHECK(decide(costs).worth_it);
  costs.write_s = 241;
  CHECK_FALSE(decide(costs).worth_it);
  // At the limit both lose the same.
  CHECK(decide({.copy_s = 0.5, .write_s = 0, .step_s = 10, .mttf_s = 100}).worth_it);
  CHECK_FALSE(decide({.copy_s = 0.5, .write_s = 0, .step_s = 9.99, .mttf_s = 100}).worth_it);
}

TEST_CASE("Policies have the names of the settings") {
  CHECK(parse_fragment_policy("off") == FragmentPolicy::off);
  CHECK(parse_fragment_policy("auto") == FragmentPolicy::automatic);
  CHECK(parse_fragment_policy("always") == FragmentPolicy::always);
  CHECK_THROWS_WITH(parse_fragment_policy("allways"), test::contains("nearest always"));
  CHECK_THROWS_AS(parse_fragment_policy("allways"), InvalidArgument);
}

TEST_CASE("Moments that all ranks have, newest first") {
  std::vector<FragmentMoment> const held{{5, 2}, {6, 2}};
  CHECK(parse_moments(to_text(held)) == held);
  CHECK(parse_moments("").empty());
  CHECK(common_moments({}).empty());
  CHECK(common_moments({"5.2 6.2", "6.2 5.2"}) == std::vector<FragmentMoment>{{6, 2}, {5, 2}});
  CHECK(common_moments({"5.2 6.2", "6.2 7.2"}) == std::vector<FragmentMoment>{{6, 2}});
  CHECK(common_moments({"5.2 6.2", "5.2", "6.2 5.2"}) == std::vector<FragmentMoment>{{5, 2}});
  CHECK(common_moments({"5.2 6.2", "", "6.2"}).empty());
  CHECK(common_moments({"6.1 5.2", "6.2 5.2"}) == std::vector<FragmentMoment>{{5, 2}});
}

TEST_CASE("The line names replicas that do the same together") {
  CHECK(summary({"0 redoes it", "0 redoes it", "1 goes on", "1 goes on"}) ==
        "replica 0: redoes it; replica 1: goes on");
  CHECK(summary({"0 goes on", "1 redoes it", "2 goes on"}) ==
        "replicas 0, 2: goes on; replica 1: redoes it");
  CHECK(summary({"0 x", "1 x", "2 x", "3 y", "4 x", "5 y", "6 y"}) ==
        "replicas 0-2, 4: x; replicas 3, 5-6: y");
}

}  // namespace dsr
