// SPDX-License-Identifier: Apache-2.0
#include "benchmarks/one_gpu_cluster/trace.hpp"

#include <algorithm>
#include <dsr/cuda.hpp>
#include <iterator>
#include <ostream>

#include "libdsr/comm/nccl/nccl_communicator.hpp"
#include "libdsr/core/cuda/check.hpp"
#include "libdsr/core/cuda/stream.hpp"

namespace benchmark {

using dsr::detail::CudaStream;
using dsr::detail::NcclCommunicator;

std::vector<Interval> united(std::vector<Interval> intervals) {
  std::ranges::sort(intervals, {}, &Interval::begin_s);
  std::vector<Interval> result;
  for (Interval const& each : intervals) {
    if (!result.empty() && each.begin_s <= result.back().end_s) {
      result.back().end_s = std::max(result.back().end_s, each.end_s);
    } else {
      result.push_back(each);
    }
  }
  return result;
}

std::vector<Interval> intersection(std::vector<Interval> const& a, std::vector<Interval> const& b) {
  std::vector<Interval> result;
  for (auto i = a.begin(), j = b.begin(); i != a.end() && j != b.end();) {
    Interval const common{std::max(i->begin_s, j->begin_s), std::min(i->end_s, j->end_s)};
    if (common.begin_s < common.end_s) result.push_back(common);
    (i->end_s < j->end_s ? i : j)++;
  }
  return result;
}

double length_s(std::vector<Interval> const& disjoint) {
  double sum = 0;
  for (Interval const& each : disjoint) sum += each.end_s - each.begin_s;
  return sum;
}

Trace::Trace(dsr::Mesh const& mesh, dsr::Stream& compute) : compute_(&compute) {
  for (dsr::AxisSet axes : dsr::all_products()) {
    auto* const group = dynamic_cast<NcclCommunicator*>(&mesh.over(axes).state());
    if (group == nullptr || group->size() == 1) continue;
    lanes_.push_back({to_string(axes), &group->beside(), Lane::Kind::beside, {}});
    lanes_.push_back({to_string(axes) + " on compute", &group->in_line(), Lane::Kind::inline_, {}});
  }
  auto& queue = dynamic_cast<CudaStream&>(dsr::detail::StreamAccess::state(compute));
  lanes_.push_back({"compute stands still", &queue.waits(), Lane::Kind::standstill, {}});
  dsr::detail::check(cudaEventCreate(&origin_));
}

Trace::~Trace() {
  for (Lane& lane : lanes_) lane.spans->keep(nullptr);
  cudaEventDestroy(origin_);
}

void Trace::begin() {
  dsr::detail::check(cudaEventRecord(origin_, native(*compute_)));
  for (Lane& lane : lanes_) lane.spans->keep(origin_);
}

Exposure Trace::end() {
  std::vector<Interval> collectives, idle;
  for (Lane& lane : lanes_) {
    static_cast<void>(lane.spans->seconds());  // reads what has run since
    lane.intervals = lane.spans->take_intervals();
    if (lane.kind != Lane::Kind::standstill)
      std::ranges::copy(lane.intervals, std::back_inserter(collectives));
    if (lane.kind != Lane::Kind::beside)
      std::ranges::copy(lane.intervals, std::back_inserter(idle));
  }
  collectives = united(std::move(collectives));
  return {length_s(collectives) * 1e3,
          length_s(intersection(collectives, united(std::move(idle)))) * 1e3};
}

void Trace::write(std::ostream& out) const {
  out << R"({"traceEvents": [)";
  char const* comma = "";
  for (std::size_t lane = 0; lane < lanes_.size(); ++lane) {
    for (Interval const& each : lanes_[lane].intervals) {
      out << comma << "\n{\"ph\": \"X\", \"pid\": 0, \"tid\": " << lane << ", \"name\": \""
          << lanes_[lane].name << "\", \"ts\": " << each.begin_s * 1e6
          << ", \"dur\": " << (each.end_s - each.begin_s) * 1e6 << "}";
      comma = ",";
    }
  }
  out << "\n]}\n";
}

}  // namespace benchmark
