// SPDX-License-Identifier: Apache-2.0
// Bandwidth, by a clock that counts instead of waiting.
#include "dsr/checkpoint/rate_limit.hpp"

#include <cmath>
#include <mutex>

#include "dsr/checkpoint/hashed_file.hpp"
#include "dsr/checkpoint/rank_file.hpp"
#include "dsr/core/error.hpp"
#include "io/temporary_directory.hpp"
#include "support/catch.hpp"
#include "support/text_of.hpp"

namespace dsr {
namespace {

struct CountingClock {
  double now = 100, slept = 0;
  RateLimit::Clock clock() {
    return {[this] { return now; },
            [this](double seconds) {
              now += seconds;
              slept += seconds;
            }};
  }
};

bool near(double a, double b) { return std::abs(a - b) < 1e-9; }

}  // namespace

TEST_CASE("blocks go when those before them are paid for, and time that passed is not saved up") {
  CountingClock clock;
  RateLimit limit{1000, clock.clock()};
  limit.take(500);
  CHECK(clock.slept == 0);
  limit.take(250);
  CHECK(near(clock.slept, 0.5));
  clock.now += 0.1;
  limit.take(1);
  CHECK(near(clock.slept, 0.65));
  clock.now += 1000;
  limit.take(2000);
  limit.take(1);
  CHECK(near(clock.slept, 2.65));
}

TEST_CASE("no limit never waits, a negative one is refused") {
  CountingClock clock;
  RateLimit none{0, clock.clock()};
  for (int i = 0; i < 100; ++i) none.take(Size{1} << 40);
  CHECK(clock.slept == 0);
  CHECK(test::contains(test::text_of<InvalidArgument>([] { RateLimit{-1}; }), "limit_bytes_per_s"));
}

TEST_CASE("files are written no faster than the limit, on one thread and on three") {
  std::vector<std::byte> const memory(static_cast<std::size_t>(10 * kHashBlock_bytes) + 77);
  Size const size = std::ssize(memory);
  HostPiece const piece{"model/w", {size}, DType::u8, {{0}, {size}}, memory};
  for (int threads : {1, 3}) {
    test::TemporaryDirectory const directory;
    CountingClock clock;
    std::mutex mutex;  // the counting clock has none
    RateLimit::Clock locked = clock.clock();
    auto const sleep = locked.sleep;
    locked.sleep = [&](double seconds) {
      std::lock_guard const lock{mutex};
      sleep(seconds);
    };
    auto const now = locked.now;
    locked.now = [&] {
      std::lock_guard const lock{mutex};
      return now();
    };
    RateLimit limit{1'000'000, locked};
    write_rank_file(system_files(), directory.path(), 0, {piece},
                    {.threads = threads, .limit = &limit});
    double const allowed = static_cast<double>(size) / 1e6, block = 0.6;
    CHECK(clock.slept > allowed - block);
    if (threads == 1) CHECK(clock.slept < allowed + 0.1);
  }
  test::TemporaryDirectory const directory;
  CountingClock clock;
  RateLimit limit{1'000'000, clock.clock()};
  HashedFile file{system_files(), directory.path(), "a", size, &limit};
  file.write(0, memory);
  file.finish();
  CHECK(clock.slept > static_cast<double>(size) / 1e6 - 0.6);
}

}  // namespace dsr
