// SPDX-License-Identifier: Apache-2.0
#include "libdsr/ops/cuda/gemm_library.hpp"

#include <string>

#include "dsr/core/error.hpp"
#include "libdsr/core/cuda/check.hpp"
#include "libdsr/ops/cuda/gemm_timing.hpp"

namespace dsr::detail {
namespace {

/// Algorithms that are timed. On Hopper the fastest is nearly always among the first ten.
constexpr int kCandidates = 24;

std::string validity(Device device) {
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, device.index));
  return "cublasLt " + std::to_string(cublasLtGetVersion()) + " on " + properties.name;
}

}  // namespace

GemmLibrary::GemmLibrary(Device device) : table_(validity(device)) {
  check(cublasLtCreate(&handle_));
}

void GemmLibrary::run(GemmLayout const& layout, GemmOperands const& operands, Stream& stream) {
  Choice const& chosen = choice(layout, operands, stream);
  chosen.plan.run(handle_, chosen.algorithm, operands, workspace(stream), native(stream));
}

void GemmLibrary::follow(std::string const& text) {
  AlgorithmTable fresh = table_.empty_copy();
  fresh.load(text);
  table_ = std::move(fresh);
  choices_.clear();
}

GemmLibrary::Choice& GemmLibrary::choice(GemmLayout const& layout, GemmOperands const& operands,
                                         Stream& stream) {
  if (auto const found = choices_.find(layout); found != choices_.end()) return found->second;
  GemmPlan plan{layout};
  Algorithm const* const known = table_.find(layout);
  Algorithm const algorithm =
      known != nullptr && plan.fits(handle_, restored(*known), kGemmWorkspace_bytes)
          ? *known
          : choose(plan, operands, stream);
  table_.set(layout, algorithm);
  return choices_.emplace(layout, Choice{std::move(plan), restored(algorithm), true})
      .first->second;
}

void GemmLibrary::decide(GemmLayout const& layout, GemmOperands const& operands, Ways const& ways,
                         Stream& stream) {
  GemmPlan plan{layout};
  Algorithm const* const known = table_.find(layout);
  bool const usable = known != nullptr &&
                      (!known->fused() || plan.fits(handle_, restored(*known), kGemmWorkspace_bytes));
  Algorithm const algorithm = usable ? *known : choose_way(plan, operands, ways, stream);
  table_.set(layout, algorithm);
  choices_.emplace(layout, Choice{std::move(plan), restored(algorithm), algorithm.fused()});
}

Algorithm GemmLibrary::choose_way(GemmPlan const& plan, GemmOperands const& operands,
                                  Ways const& ways, Stream& stream) {
  auto const candidates =
      plan.candidates(handle_, kGemmWorkspace_bytes, times(stream) ? kCandidates : 1);
  if (candidates.empty()) return {};
  if (!times(stream)) return stored(candidates.front(), 0);
  Algorithm const best = time(plan, candidates, operands, stream);
  // A product that adds to out cannot be tried on the spot; then its epilogue is taken.
  if (plan.layout().reads == GemmLayout::Reads::operands_and_out) return best;
  auto const call = [&](int way) {
    if (way == 1) return ways.apart();
    plan.run(handle_, restored(best), operands, workspace(stream), native(stream));
    ways.after();
  };
  Fastest const found = fastest(2, call, stream);
  return found.candidate == 0 ? best : Algorithm{.us = found.us};
}

Algorithm GemmLibrary::choose(GemmPlan const& plan, GemmOperands const& operands, Stream& stream) {
  auto const candidates =
      plan.candidates(handle_, kGemmWorkspace_bytes, times(stream) ? kCandidates : 1);
  if (candidates.size() == 1) return stored(candidates.front(), 0);
  return time(plan, candidates, operands, stream);
}

Algorithm GemmLibrary::time(GemmPlan const& plan,
                            std::vector<cublasLtMatmulAlgo_t> const& candidates,
                            GemmOperands operands, Stream& stream) {
  GemmLayout const& layout = plan.layout();
  GemmMemory const memory = workspace(stream);
  cudaStream_t const queue = native(stream);
  // A product that adds to out must leave it alone until the real call.
  Buffer aside;
  if (layout.reads == GemmLayout::Reads::operands_and_out) {
    try {
      aside = Buffer{layout.out_extent() * size_of(layout.out_type), stream.device()};
    } catch (OutOfMemory const&) {
      return stored(candidates.front(), 0);
    }
    check(cudaMemsetAsync(aside.data(), 0, static_cast<std::size_t>(aside.bytes()), queue));
    operands.out = aside.data();
  }
  auto const call = [&](int i) {
    plan.run(handle_, candidates[static_cast<std::size_t>(i)], operands, memory, queue);
  };
  Fastest const found = fastest(static_cast<int>(candidates.size()), call, stream);
  return stored(candidates[static_cast<std::size_t>(found.candidate)], found.us);
}

}  // namespace dsr::detail
