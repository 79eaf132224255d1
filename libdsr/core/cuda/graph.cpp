// SPDX-License-Identifier: Apache-2.0
#include <exception>

#include "dsr/core/cuda.hpp"
#include "libdsr/core/cuda/check.hpp"
#include "libdsr/core/cuda_device.hpp"

namespace dsr::detail {

std::shared_ptr<void> record_on_cuda(Stream& stream, std::function<void()> const& work) {
  cudaStream_t const queue = native(stream);
  // Thread-local: what other threads do meanwhile, an allocation say, is no error.
  check(cudaStreamBeginCapture(queue, cudaStreamCaptureModeThreadLocal));
  std::exception_ptr error;
  try {
    work();
  } catch (...) {
    error = std::current_exception();
  }
  cudaGraph_t made = nullptr;
  cudaError_t const ended = cudaStreamEndCapture(queue, &made);
  std::unique_ptr<CUgraph_st, decltype(&cudaGraphDestroy)> const graph{made, &cudaGraphDestroy};
  if (error != nullptr) {
    cudaGetLastError();  // an interrupted capture must not fail the next call
    std::rethrow_exception(error);
  }
  check(ended);
  cudaGraphExec_t executable = nullptr;
  check(cudaGraphInstantiate(&executable, graph.get(), 0));
  return {executable, [](void* x) { cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(x)); }};
}

void replay_on_cuda(void* recorded, Stream& stream) {
  check(cudaGraphLaunch(static_cast<cudaGraphExec_t>(recorded), native(stream)));
}

}  // namespace dsr::detail
