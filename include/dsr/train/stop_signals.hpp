// SPDX-License-Identifier: Apache-2.0
#pragma once
/// StopSignals: SIGTERM and SIGUSR1 become a wish to stop, which a program looks at between steps.
///
///     dsr::StopSignals const signals;
///     while (signals.caught() == 0) step();
///
/// mpirun hands SIGUSR1 on to all ranks at once. It hands on SIGTERM too, but kills what is still
/// there a second later, unless told otherwise.
#include <csignal>

namespace dsr {

/// Neither copies nor moves: the handlers are the process's. One lives at a time, and its
/// destructor brings back the handlers that were there. Made and destroyed by one thread.
class StopSignals {
 public:
  /// Throws InvalidArgument if there is one already, or the system refuses.
  StopSignals();
  ~StopSignals();
  StopSignals(StopSignals const&) = delete;
  StopSignals& operator=(StopSignals const&) = delete;

  /// The last of the two signals that came since this object was made; 0: none. Any thread.
  int caught() const;

 private:
  struct sigaction terminate_ {
  }, user_{};
};

}  // namespace dsr
