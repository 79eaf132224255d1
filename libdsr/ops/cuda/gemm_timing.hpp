// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Times candidates for a product against each other under load and returns the fastest.
#include <functional>
#include <vector>

#include "dsr/core/stream.hpp"

namespace dsr::detail {

struct Fastest {
  int candidate = 0;
  double us = 0;  ///< median time of a call
};

/// Runs candidates 0 … count − 1 in turn, several rounds, after a warm-up that brings the clocks to
/// what they are under load; those that turn out far slower leave after the first round, and the
/// best few are timed once more under sustained load. Waits for the stream. A candidate whose first call throws CudaError is left out; the first error is
/// rethrown if all do.
Fastest fastest(int count, std::function<void(int candidate)> const& call, Stream& stream);

}  // namespace dsr::detail
