// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <string>

#include "dsr/core/buffer.hpp"
#include "dsr/core/cuda.hpp"
#include "dsr/core/error.hpp"
#include "libdsr/core/cuda/check.hpp"
#include "libdsr/core/cuda_device.hpp"

namespace dsr::detail {
namespace {

// Errors are dropped: at the end of a process the driver may be gone before a Buffer is.
void free_on_cuda(void* memory) noexcept { cudaFree(memory); }
void free_pinned(void* memory) noexcept { cudaFreeHost(memory); }

// Zero bytes are given an address of their own, so that a tensor without elements counts as
// defined.
std::size_t asked(Size bytes) {
  return static_cast<std::size_t>(std::max(bytes, kAlignment_bytes));
}

}  // namespace

Size cuda_free_bytes(Device device) {
  require_cuda(device);
  CurrentDevice const current{device.index};
  std::size_t free_bytes = 0;
  std::size_t total_bytes = 0;
  check(cudaMemGetInfo(&free_bytes, &total_bytes));
  return static_cast<Size>(free_bytes);
}

Allocation allocate_on_cuda(Size bytes, Device device) {
  require_cuda(device);
  CurrentDevice const current{device.index};
  void* memory = nullptr;
  cudaError_t const status = cudaMalloc(&memory, asked(bytes));
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    std::size_t free_bytes = 0;
    std::size_t total_bytes = 0;
    check(cudaMemGetInfo(&free_bytes, &total_bytes));
    throw OutOfMemory(problem("buffer on " + to_string(device),
                              std::to_string(bytes) +
                                  " bytes cannot be allocated: " + std::to_string(free_bytes) +
                                  " of " + std::to_string(total_bytes) + " bytes are free"));
  }
  check(status);
  return {memory, free_on_cuda};
}

Allocation allocate_pinned(Size bytes) {
  if (cuda_device_count() == 0) return allocate_on_host(bytes);
  void* memory = nullptr;
  cudaError_t const status = cudaHostAlloc(&memory, asked(bytes), cudaHostAllocPortable);
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    throw OutOfMemory(
        problem("pinned buffer", std::to_string(bytes) + " bytes cannot be allocated"));
  }
  check(status);
  return {memory, free_pinned};
}

void cuda_copy(void* to, void const* from, Size bytes, Stream& stream) {
  check(cudaMemcpyAsync(to, from, static_cast<std::size_t>(bytes), cudaMemcpyDefault,
                        native(stream)));
}

void cuda_zero(void* to, Size bytes, Stream& stream) {
  check(cudaMemsetAsync(to, 0, static_cast<std::size_t>(bytes), native(stream)));
}

}  // namespace dsr::detail
