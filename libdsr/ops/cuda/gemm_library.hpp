// SPDX-License-Identifier: Apache-2.0
#pragma once
/// A stream's cuBLASLt: a plan and an algorithm for each layout that it has met.
#include <cublasLt.h>

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

  void use(AlgorithmOptions const& options) { options_ = options; }
  AlgorithmOptions const& options() const { return options_; }
  AlgorithmTable& table() { return table_; }

 private:
  struct Choice {
    GemmPlan plan;
    cublasLtMatmulAlgo_t algorithm;
  };
  Choice& choice(GemmLayout const& layout, GemmOperands const& operands, Stream& stream);
  Algorithm choose(GemmPlan const& plan, GemmOperands const& operands, Stream& stream);
  Algorithm time(GemmPlan const& plan, std::vector<cublasLtMatmulAlgo_t> const& candidates,
                 GemmOperands operands, Stream& stream);
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
