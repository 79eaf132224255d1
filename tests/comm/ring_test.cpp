// SPDX-License-Identifier: Apache-2.0
// ring_elements() against rings that are played through, step by step.
#include <vector>

#include "dsr/comm/communicator.hpp"
#include "support/catch.hpp"

using namespace dsr;

namespace {

/// What each rank has sent after a ring all-gather of blocks of the given sizes: every block visits
/// every rank.
std::vector<Size> play_all_gather(std::vector<Size> const& blocks) {
  auto const n = blocks.size();
  std::vector<std::size_t> newest(n);
  std::vector<std::vector<bool>> has(n, std::vector<bool>(n, false));
  for (std::size_t r = 0; r < n; ++r) {
    newest[r] = r;
    has[r][r] = true;
  }
  std::vector<Size> sent(n, 0);
  while (!has[0][n == 1 ? 0 : 1]) {
    std::vector<std::size_t> const passed = newest;
    for (std::size_t r = 0; r < n; ++r) {
      sent[r] += blocks[passed[r]];
      newest[(r + 1) % n] = passed[r];
      has[(r + 1) % n][passed[r]] = true;
    }
  }
  for (auto const& row : has) {
    for (bool const there : row) REQUIRE(there);
  }
  return sent;
}

/// The same for a ring reduce-scatter: partial sums travel, and each rank ends with the sum of its
/// own block.
std::vector<Size> play_reduce_scatter(std::size_t n, Size block) {
  std::vector<std::vector<Size>> contributions(n, std::vector<Size>(n, 1));  // [rank][block]
  std::vector<Size> sent(n, 0);
  for (std::size_t step = 0; step + 1 < n; ++step) {
    auto const before = contributions;
    for (std::size_t r = 0; r < n; ++r) {
      std::size_t const passed = (r + 2 * n - step - 1) % n;
      contributions[(r + 1) % n][passed] += before[r][passed];
      sent[r] += block;
    }
  }
  for (std::size_t r = 0; r < n; ++r) REQUIRE(contributions[r][r] == static_cast<Size>(n));
  return sent;
}

}  // namespace

TEST_CASE("a ring all-gather sends what ring_elements says") {
  for (int const n : {1, 2, 3, 4, 6, 7}) {
    for (Size const e : {0, 1, 5, 1024}) {
      for (Size const sent : play_all_gather(std::vector<Size>(static_cast<std::size_t>(n), e))) {
        CHECK(sent == ring_elements(Collective::all_gather, e, n));
      }
    }
  }
}

TEST_CASE("a ring reduce-scatter sends what ring_elements says") {
  for (int const n : {1, 2, 3, 4, 6, 7}) {
    for (Size const e : {0, 1, 5, 1024}) {
      for (Size const sent : play_reduce_scatter(static_cast<std::size_t>(n), e)) {
        CHECK(sent == ring_elements(Collective::reduce_scatter, e, n));
      }
    }
  }
}

TEST_CASE("an all-reduce is a reduce-scatter and an all-gather of padded parts") {
  for (int const n : {1, 2, 3, 4, 6, 7}) {
    for (Size const e : {0, 1, 5, 1024, 1025}) {
      auto const ranks = static_cast<std::size_t>(n);
      Size padded = e;
      while (padded % n != 0) ++padded;
      std::vector<Size> const scattered = play_reduce_scatter(ranks, padded / n);
      std::vector<Size> const gathered = play_all_gather(std::vector<Size>(ranks, padded / n));
      for (std::size_t r = 0; r < ranks; ++r) {
        CHECK(scattered[r] + gathered[r] == ring_elements(Collective::all_reduce, e, n));
      }
    }
  }
}

TEST_CASE("the other operations") {
  CHECK(ring_elements(Collective::all_to_all, 12, 4) == 9);  // three parts of three leave a rank
  CHECK(ring_elements(Collective::all_to_all, 12, 1) == 0);
  CHECK(ring_elements(Collective::broadcast, 12, 4) == 12);
  CHECK(ring_elements(Collective::broadcast, 12, 1) == 0);
  CHECK(ring_elements(Collective::send, 12, 2) == 12);
  CHECK(ring_elements(Collective::receive, 12, 2) == 0);
  CHECK(ring_elements(Collective::barrier, 0, 4) == 0);
}

TEST_CASE("names and totals") {
  CHECK(name_of(Collective::all_gather) == "all_gather");
  CHECK(name_of(Collective::barrier) == "barrier");
  Traffic traffic;
  traffic.by_operation[0] = {1, 10, 30, 120};
  traffic.by_operation[5] = {2, 4, 4, 32};
  CHECK(traffic.total() == TrafficCount{3, 14, 34, 152});
  CHECK(traffic[Collective::all_gather].sent == 30);
}
