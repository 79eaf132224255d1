// SPDX-License-Identifier: Apache-2.0
#pragma once
/// One matrix product as cuBLASLt knows it: descriptions of its layout, the algorithms on offer,
/// and a launch.
///
///     GemmPlan plan{layout};
///     auto offers = plan.candidates(handle, workspace_bytes, 16);
///     plan.run(handle, offers[0], operands, workspace, stream);
///
/// Source: cuBLAS 13 documentation, "Using the cuBLASLt API".
#include <cublasLt.h>

#include <memory>
#include <source_location>
#include <type_traits>
#include <vector>

#include "libdsr/ops/cuda/algorithm_table.hpp"

namespace dsr::detail {

/// Throws CudaError with cuBLASLt's own text and the place of the call.
void check(cublasStatus_t status, std::source_location place = std::source_location::current());

/// Addresses of a product, out = alpha · left · right + beta · out.
struct GemmOperands {
  void const *left, *right;
  void* out;
  double alpha = 1, beta = 0;
  void const* bias = nullptr;  ///< of Epilogue::bias and gelu_bias
  void* h = nullptr;           ///< written by the gelu epilogues, read by gelu_backward
};

/// Memory of a launch.
struct GemmMemory {
  void* data;
  Size bytes;
};

/// Moves. Depends on the layout alone.
class GemmPlan {
 public:
  explicit GemmPlan(GemmLayout const& layout);

  /// At most `count` algorithms that need no more workspace, the library's favourite first. All
  /// give the same bits every time: sums over split inner dimensions are added in a fixed order, in
  /// f32 (f64 for f64). None if the library has no algorithm for an epilogue; throws CudaError if
  /// it has none for a plain product.
  std::vector<cublasLtMatmulAlgo_t> candidates(cublasLtHandle_t handle, Size workspace_bytes,
                                               int count) const;
  /// False if this library and GPU cannot run the algorithm within so much workspace.
  bool fits(cublasLtHandle_t handle, cublasLtMatmulAlgo_t const& algorithm,
            Size workspace_bytes) const;
  void run(cublasLtHandle_t handle, cublasLtMatmulAlgo_t const& algorithm,
           GemmOperands const& operands, GemmMemory workspace, cudaStream_t stream) const;

  GemmLayout const& layout() const { return layout_; }

 private:
  template <class T, cublasStatus_t (*destroy)(T)>
  struct Destroy {
    void operator()(std::remove_pointer_t<T>* x) const { destroy(x); }
  };
  template <class T, cublasStatus_t (*destroy)(T)>
  using Owned = std::unique_ptr<std::remove_pointer_t<T>, Destroy<T, destroy>>;
  using Matrix = Owned<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy>;

  void set_epilogue();
  void point(GemmOperands const& operands) const;
  static Matrix matrix(GemmOperand const& operand, DType type, Size rows, Size columns, Size batch);

  GemmLayout layout_;
  Owned<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy> product_;
  Matrix left_, right_, out_;
};

Algorithm stored(cublasLtMatmulAlgo_t const& algorithm, double us);
cublasLtMatmulAlgo_t restored(Algorithm const& algorithm);

}  // namespace dsr::detail
