// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Trace: when a rank's collectives ran during a step, and when its compute queue stood still.
///
///     Trace trace{mesh, trainer.compute()};
///     trace.begin();  trainer.step();  Exposure const found = trace.end();
#include <cuda_runtime_api.h>

#include <dsr/dsr.hpp>
#include <iosfwd>
#include <string>
#include <vector>

#include "libdsr/core/cuda/spans.hpp"

namespace benchmark {

using dsr::detail::Interval;

/// Sorted and disjoint.
std::vector<Interval> united(std::vector<Interval> intervals);
/// Of two lists that are sorted and disjoint.
std::vector<Interval> intersection(std::vector<Interval> const& a, std::vector<Interval> const& b);
double length_s(std::vector<Interval> const& disjoint);

/// Of one step on one rank. Exposed is the part of the collectives' time in which compute stood
/// still for a communication stream, or in which they ran on compute's own queue.
struct Exposure {
  double total_ms = 0, exposed_ms = 0;
};

/// Does not copy. Mesh and stream must outlive it, and be on CUDA.
class Trace {
 public:
  Trace(dsr::Mesh const& mesh, dsr::Stream& compute);
  ~Trace();
  Trace(Trace const&) = delete;
  Trace& operator=(Trace const&) = delete;

  void begin();
  /// All work must have run, and the trainer have read its metrics.
  Exposure end();
  /// The last step, for chrome://tracing and Perfetto.
  void write(std::ostream& out) const;

 private:
  struct Lane {
    std::string name;
    dsr::detail::Spans* spans;
    enum class Kind : std::uint8_t { beside, inline_, standstill } kind;
    std::vector<Interval> intervals;
  };
  std::vector<Lane> lanes_;
  dsr::Stream* compute_;
  cudaEvent_t origin_ = nullptr;
};

}  // namespace benchmark
