// SPDX-License-Identifier: Apache-2.0
#include "dsr/train/stop_signals.hpp"

#include <atomic>
#include <memory>

#include "dsr/core/error.hpp"
#include "support/catch.hpp"

namespace dsr {
namespace {

std::atomic<int> seen_before{0};
extern "C" void count_signal(int) { ++seen_before; }

}  // namespace

TEST_CASE("signals are remembered, and the handlers that were there come back") {
  struct sigaction mine {
  }, original_term{}, original_user{};
  mine.sa_handler = count_signal;
  REQUIRE(::sigaction(SIGTERM, &mine, &original_term) == 0);
  REQUIRE(::sigaction(SIGUSR1, &mine, &original_user) == 0);
  for (int const signal : {SIGTERM, SIGUSR1}) {
    int const before = seen_before;
    {
      StopSignals const signals;
      CHECK(signals.caught() == 0);  // nothing of the one before it
      CHECK(::raise(signal) == 0);
      CHECK(signals.caught() == signal);
      CHECK(seen_before == before);
    }
    CHECK(::raise(signal) == 0);
    CHECK(seen_before == before + 1);
  }
  ::sigaction(SIGTERM, &original_term, nullptr);
  ::sigaction(SIGUSR1, &original_user, nullptr);
}

TEST_CASE("there is one at a time") {
  auto first = std::make_unique<StopSignals>();
  CHECK_THROWS_AS(StopSignals{}, InvalidArgument);
  CHECK(::raise(SIGUSR1) == 0);
  CHECK(first->caught() == SIGUSR1);  // the second one has changed nothing
  first.reset();
  CHECK(StopSignals{}.caught() == 0);
}

}  // namespace dsr
