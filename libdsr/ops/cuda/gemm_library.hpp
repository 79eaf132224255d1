// SPDX-License-Identifier: Apache-2.0
#pragma once
/// A stream's cuBLASLt: a plan and an algorithm for each layout that it has met.
#include <cublasLt.h>

#include <functional>
#include <map>

#include "dsr/ops/algorithms.hpp"
#include "libdsr/ops/cuda/gemm_plan.hpp"
#include "libdsr/ops/cuda/workspace.hpp"

namespace dsr::detail {

/// Lives as long as its stream.
class GemmLibrary {
 public:
  explicit GemmLibrary(Device device);
  ~GemmLibrary() { cublasLtDestroy(handle_); }
  GemmLibrary(GemmLibrary const&) = delete;
  GemmLibrary& operator=(GemmLibrary const&) = delete;

  void run(GemmLayout const& layout, GemmOperands const& operands, Stream& stream);

  /// Two ways to a product with an epilogue. Timing runs them several times, so they must not add
  /// to anything that counts.
  struct Ways {
    std::function<void()> apart;  ///< the plain product and the passes that follow it
    std::function<void()> after;  ///< what a fused product leaves to do
  };
  bool decided(GemmLayout const& layout) const { return choices_.contains(layout); }
  /// Decides whether a product takes its epilogue: if there is an algorithm and, where choices are
  /// timed, it is the faster way.
  void decide(GemmLayout const& layout, GemmOperands const& operands, Ways const& ways,
              Stream& stream);
  bool fused(GemmLayout const& layout) const { return choices_.at(layout).fused; }

  void use(AlgorithmOptions const& options) { options_ = options; }
  AlgorithmOptions const& options() const { return options_; }
  AlgorithmTable& table() { return table_; }
  /// The choices in a table's text instead of all that were made.
  void follow(std::string const& text);

 private:
  struct Choice {
    GemmPlan plan;
    cublasLtMatmulAlgo_t algorithm;
    bool fused;
  };
  Choice& choice(GemmLayout const& layout, GemmOperands const& operands, Stream& stream);
  bool times(Stream& stream) const {
    return options_.choice == AlgorithmChoice::timed && !capturing(stream);
  }
  Algorithm choose(GemmPlan const& plan, GemmOperands const& operands, Stream& stream);
  Algorithm time(GemmPlan const& plan, std::vector<cublasLtMatmulAlgo_t> const& candidates,
                 GemmOperands operands, Stream& stream);
  Algorithm choose_way(GemmPlan const& plan, GemmOperands const& operands, Ways const& ways,
                       Stream& stream);
  GemmMemory workspace(Stream& stream) const {
    return {workspace_of(stream).at_least(kGemmWorkspace_bytes, stream), kGemmWorkspace_bytes};
  }

  cublasLtHandle_t handle_ = nullptr;
  AlgorithmOptions options_;
  AlgorithmTable table_;
  std::map<GemmLayout, Choice> choices_;
};

inline GemmLibrary& gemm_library(Stream& stream) {
  native(stream);  // the handle is made for the current device
  return StreamAccess::state(stream).resource<GemmLibrary>();
}

}  // namespace dsr::detail
