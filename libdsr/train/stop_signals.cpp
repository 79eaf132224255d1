// SPDX-License-Identifier: Apache-2.0
#include "dsr/train/stop_signals.hpp"

#include <atomic>

#include "dsr/core/error.hpp"

namespace dsr {
namespace {

constexpr int kNobody = -1;
/// A handler is a plain function and finds nothing else.
std::atomic<int> last_signal{kNobody};
static_assert(std::atomic<int>::is_always_lock_free, "a signal handler may not wait");

extern "C" void remember(int signal) { last_signal.store(signal); }

struct sigaction handle(int signal) {
  struct sigaction ours {
  }, before{};
  ours.sa_handler = remember;
  ours.sa_flags = SA_RESTART;  // a call that was under way goes on
  sigemptyset(&ours.sa_mask);
  if (::sigaction(signal, &ours, &before) == 0) return before;
  throw InvalidArgument(problem("signal " + std::to_string(signal), "cannot be handled"));
}

}  // namespace

StopSignals::StopSignals() {
  int expected = kNobody;
  if (!last_signal.compare_exchange_strong(expected, 0))
    throw InvalidArgument(problem("StopSignals", "two in one process", "one"));
  terminate_ = handle(SIGTERM);
  user_ = handle(SIGUSR1);
}

StopSignals::~StopSignals() {
  ::sigaction(SIGTERM, &terminate_, nullptr);
  ::sigaction(SIGUSR1, &user_, nullptr);
  last_signal.store(kNobody);
}

int StopSignals::caught() const { return last_signal.load(); }

}  // namespace dsr
