// SPDX-License-Identifier: Apache-2.0
#include "libdsr/ops/cuda/gemm_plan.hpp"

#include <bit>
#include <map>
#include <string>
#include <string_view>

#include "dsr/core/error.hpp"

namespace dsr::detail {

static_assert(sizeof(cublasLtMatmulAlgo_t) == sizeof(Algorithm::words));

void check(cublasStatus_t status, std::source_location place) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  std::string_view file = place.file_name();
  file.remove_prefix(file.rfind('/') + 1);
  throw CudaError(problem("cuBLASLt", std::string{cublasLtGetStatusString(status)} + ", at " +
                                          std::string{file} + ":" + std::to_string(place.line())));
}

namespace {

cudaDataType_t library_type(DType type) {
  switch (type) {
    case DType::bf16:
      return CUDA_R_16BF;
    case DType::f32:
      return CUDA_R_32F;
    case DType::f64:
      return CUDA_R_64F;
    default:
      break;
  }
  throw InvalidArgument(
      problem("matmul", std::string{name_of(type)} + " on cuda", "bf16, f32 or f64"));
}

template <class T>
void set(cublasLtMatmulDesc_t product, cublasLtMatmulDescAttributes_t name, T value) {
  check(cublasLtMatmulDescSetAttribute(product, name, &value, sizeof value));
}

template <class T>
void set(cublasLtMatrixLayout_t matrix, cublasLtMatrixLayoutAttribute_t name, T value) {
  check(cublasLtMatrixLayoutSetAttribute(matrix, name, &value, sizeof value));
}

template <class T>
void set(cublasLtMatmulPreference_t preference, cublasLtMatmulPreferenceAttributes_t name,
         T value) {
  check(cublasLtMatmulPreferenceSetAttribute(preference, name, &value, sizeof value));
}

cublasOperation_t operation(Transpose transpose) {
  return transpose == Transpose::yes ? CUBLAS_OP_T : CUBLAS_OP_N;
}

struct DestroyPreference {
  void operator()(std::remove_pointer_t<cublasLtMatmulPreference_t>* x) const {
    cublasLtMatmulPreferenceDestroy(x);
  }
};
using Preference =
    std::unique_ptr<std::remove_pointer_t<cublasLtMatmulPreference_t>, DestroyPreference>;

Preference preference(GemmLayout const& layout, Size workspace_bytes) {
  cublasLtMatmulPreference_t made = nullptr;
  check(cublasLtMatmulPreferenceCreate(&made));
  Preference preference{made};
  set(made, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, static_cast<std::uint64_t>(workspace_bytes));
  // Adding parts of a sum in the type of out would round each of them to it.
  set(made, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
      static_cast<std::uint32_t>(CUBLASLT_REDUCTION_SCHEME_NONE |
                                 CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
  auto const align = [](GemmOperand const& x) { return static_cast<std::uint32_t>(x.align_bytes); };
  set(made, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, align(layout.left));
  set(made, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, align(layout.right));
  set(made, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, align(layout.out));
  set(made, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, align(layout.out));
  return preference;
}

}  // namespace

GemmPlan::Matrix GemmPlan::matrix(GemmOperand const& operand, DType type, Size rows, Size columns,
                                  Size batch) {
  cublasLtMatrixLayout_t made = nullptr;
  check(cublasLtMatrixLayoutCreate(&made, library_type(type), static_cast<std::uint64_t>(rows),
                                   static_cast<std::uint64_t>(columns), operand.leading));
  Matrix matrix{made};
  if (batch > 1) {
    set(made, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, static_cast<std::int32_t>(batch));
    set(made, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, static_cast<std::int64_t>(operand.step));
  }
  return matrix;
}

GemmPlan::GemmPlan(GemmLayout const& layout)
    : layout_(layout),
      left_(
          matrix(layout.left, layout.in, layout.left_rows(), layout.left_columns(), layout.batch)),
      right_(matrix(layout.right, layout.in, layout.right_rows(), layout.right_columns(),
                    layout.batch)),
      out_(matrix(layout.out, layout.out_type, layout.rows, layout.columns, layout.batch)) {
  bool const wide = layout.in == DType::f64;
  cublasLtMatmulDesc_t made = nullptr;
  check(cublasLtMatmulDescCreate(&made, wide ? CUBLAS_COMPUTE_64F : CUBLAS_COMPUTE_32F,
                                 wide ? CUDA_R_64F : CUDA_R_32F));
  product_.reset(made);
  set(made, CUBLASLT_MATMUL_DESC_TRANSA, operation(layout.left.transpose));
  set(made, CUBLASLT_MATMUL_DESC_TRANSB, operation(layout.right.transpose));
  if (layout.epilogue != Epilogue::none) set_epilogue();
}

void GemmPlan::set_epilogue() {
  static std::map<Epilogue, cublasLtEpilogue_t> const names{
      {Epilogue::bias, CUBLASLT_EPILOGUE_BIAS},
      {Epilogue::gelu, CUBLASLT_EPILOGUE_GELU_AUX},
      {Epilogue::gelu_bias, CUBLASLT_EPILOGUE_GELU_AUX_BIAS},
      {Epilogue::gelu_backward, CUBLASLT_EPILOGUE_DGELU}};
  set(product_.get(), CUBLASLT_MATMUL_DESC_EPILOGUE, names.at(layout_.epilogue));
  if (layout_.epilogue != Epilogue::bias) {
    set(product_.get(), CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD,
        static_cast<std::int64_t>(layout_.rows));
  }
  // The library chooses by what it is told of these addresses: their alignment.
  auto* const aligned = reinterpret_cast<void*>(static_cast<std::uintptr_t>(kGemmAlignment_bytes));
  point({.left = nullptr, .right = nullptr, .out = nullptr, .bias = aligned, .h = aligned});
}

void GemmPlan::point(GemmOperands const& operands) const {
  bool const biased = layout_.epilogue == Epilogue::bias || layout_.epilogue == Epilogue::gelu_bias;
  bool const aside = layout_.epilogue != Epilogue::none && layout_.epilogue != Epilogue::bias;
  if (biased) set(product_.get(), CUBLASLT_MATMUL_DESC_BIAS_POINTER, operands.bias);
  if (aside) set(product_.get(), CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, operands.h);
}

std::vector<cublasLtMatmulAlgo_t> GemmPlan::candidates(cublasLtHandle_t handle,
                                                       Size workspace_bytes, int count) const {
  Preference const asked = preference(layout_, workspace_bytes);
  std::vector<cublasLtMatmulHeuristicResult_t> results(static_cast<std::size_t>(count));
  int found = 0;
  cublasStatus_t const status =
      cublasLtMatmulAlgoGetHeuristic(handle, product_.get(), left_.get(), right_.get(), out_.get(),
                                     out_.get(), asked.get(), count, results.data(), &found);
  if (status != CUBLAS_STATUS_NOT_SUPPORTED) check(status);
  else found = 0;
  std::vector<cublasLtMatmulAlgo_t> algorithms;
  for (int i = 0; i < found; ++i) {
    cublasLtMatmulHeuristicResult_t const& result = results[static_cast<std::size_t>(i)];
    bool const usable = result.state == CUBLAS_STATUS_SUCCESS &&
                        result.workspaceSize <= static_cast<std::size_t>(workspace_bytes);
    if (usable) algorithms.push_back(result.algo);
  }
  if (algorithms.empty() && layout_.epilogue == Epilogue::none) {
    throw CudaError(problem(
        "matmul", "cuBLASLt has no algorithm for " + std::to_string(layout_.columns) + " x " +
                      std::to_string(layout_.rows) + " x " + std::to_string(layout_.inner) + " " +
                      std::string{name_of(layout_.in)}));
  }
  return algorithms;
}

bool GemmPlan::fits(cublasLtHandle_t handle, cublasLtMatmulAlgo_t const& algorithm,
                    Size workspace_bytes) const {
  cublasLtMatmulHeuristicResult_t result{};
  cublasStatus_t const status =
      cublasLtMatmulAlgoCheck(handle, product_.get(), left_.get(), right_.get(), out_.get(),
                              out_.get(), &algorithm, &result);
  return status == CUBLAS_STATUS_SUCCESS &&
         result.workspaceSize <= static_cast<std::size_t>(workspace_bytes);
}

void GemmPlan::run(cublasLtHandle_t handle, cublasLtMatmulAlgo_t const& algorithm,
                   GemmOperands const& operands, GemmMemory workspace, cudaStream_t stream) const {
  auto const alpha = static_cast<float>(operands.alpha), beta = static_cast<float>(operands.beta);
  bool const wide = layout_.in == DType::f64;
  point(operands);
  void const* const times = wide ? static_cast<void const*>(&operands.alpha) : &alpha;
  void const* const plus = wide ? static_cast<void const*>(&operands.beta) : &beta;
  check(cublasLtMatmul(handle, product_.get(), times, operands.left, left_.get(), operands.right,
                       right_.get(), plus, operands.out, out_.get(), operands.out, out_.get(),
                       &algorithm, workspace.data, static_cast<std::size_t>(workspace.bytes),
                       stream));
}

Algorithm stored(cublasLtMatmulAlgo_t const& algorithm, double us) {
  return {std::bit_cast<std::array<std::uint64_t, 8>>(algorithm), us};
}

cublasLtMatmulAlgo_t restored(Algorithm const& algorithm) {
  return std::bit_cast<cublasLtMatmulAlgo_t>(algorithm.words);
}

}  // namespace dsr::detail
