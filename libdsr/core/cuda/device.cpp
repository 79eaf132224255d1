// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <charconv>
#include <string>
#include <string_view>

#include "dsr/core/error.hpp"
#include "libdsr/core/cuda/check.hpp"
#include "libdsr/core/cuda_device.hpp"

namespace dsr::detail {
namespace {

constexpr std::string_view kArchitectures = DSR_CUDA_ARCHITECTURES;

/// The lowest of "80,90a,100-real". A kernel runs on what it was compiled for, and on later GPUs of
/// the same generation; without "-real" the driver compiles it for every later one.
int lowest_architecture() {
  int lowest = 0;
  std::string_view rest = kArchitectures;
  while (!rest.empty()) {
    int number = 0;
    std::from_chars(rest.data(), rest.data() + rest.size(), number);
    if (number > 0) lowest = lowest == 0 ? number : std::min(lowest, number);
    rest.remove_prefix(std::min(rest.find(','), rest.size() - 1) + 1);
  }
  return lowest;
}

void require_architecture(Device device) {
  int const found = cuda_capability(device);
  if (found >= lowest_architecture()) return;
  throw CudaError(problem(
      "device", to_string(device) + " has compute capability " + std::to_string(found),
      "those that this build has kernels for: " + std::string{kArchitectures} + " and later",
      "configure with -DCMAKE_CUDA_ARCHITECTURES=" + std::to_string(found)));
}

}  // namespace

int cuda_capability(Device device) {
  int major = 0;
  int minor = 0;
  check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device.index));
  check(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device.index));
  return 10 * major + minor;
}

int cuda_device_count() {
  int count = 0;
  if (cudaGetDeviceCount(&count) == cudaSuccess) return count;
  cudaGetLastError();
  return 0;
}

void require_cuda(Device device) {
  int count = 0;
  cudaError_t const status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess || count == 0) {
    cudaGetLastError();
    std::string const reason =
        status == cudaSuccess ? "none is visible" : cudaGetErrorString(status);
    throw CudaError(problem(
        "no CUDA device", reason + " (asked for " + to_string(device) + ")",
        "a GPU with its driver, listed by nvidia-smi and not hidden by CUDA_VISIBLE_DEVICES",
        "device = cpu"));
  }
  if (device.index < 0 || device.index >= count) {
    throw CudaError(problem("device", to_string(device) + " of " + std::to_string(count),
                            "cuda:0 to cuda:" + std::to_string(count - 1),
                            "cuda:" + std::to_string(std::clamp(device.index, 0, count - 1))));
  }
  require_architecture(device);
}

}  // namespace dsr::detail
