// SPDX-License-Identifier: Apache-2.0
#pragma once
/// check: a status of the CUDA runtime that is not success becomes a CudaError with CUDA's own text
/// and the place of the call.
///
///     check(cudaMemsetAsync(data, 0, bytes, stream));
///     check(cudaGetLastError());                         // after a launch
#include <cuda_runtime_api.h>

#include <source_location>

namespace dsr::detail {

void check(cudaError_t status, std::source_location place = std::source_location::current());

/// Makes a device current on this thread, and the previous one when it ends. Neither copies nor
/// moves.
class CurrentDevice {
 public:
  explicit CurrentDevice(int index);
  ~CurrentDevice();
  CurrentDevice(CurrentDevice const&) = delete;
  CurrentDevice& operator=(CurrentDevice const&) = delete;

 private:
  int previous_ = 0;
  int index_;
};

}  // namespace dsr::detail
