// SPDX-License-Identifier: Apache-2.0
#include "libdsr/core/cuda/check.hpp"

#include <string>
#include <string_view>

#include "dsr/core/error.hpp"

namespace dsr::detail {

void check(cudaError_t status, std::source_location place) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // what is reported here must not be reported again by the next launch
  std::string_view file = place.file_name();
  file.remove_prefix(file.rfind('/') + 1);  // npos + 1 is 0: no slash, nothing removed
  throw CudaError(problem("CUDA", std::string{cudaGetErrorName(status)} + ": " +
                                      cudaGetErrorString(status) + ", at " + std::string{file} +
                                      ":" + std::to_string(place.line())));
}

CurrentDevice::CurrentDevice(int index) : index_(index) {
  check(cudaGetDevice(&previous_));
  if (previous_ != index_) check(cudaSetDevice(index_));
}

CurrentDevice::~CurrentDevice() {
  if (previous_ != index_) cudaSetDevice(previous_);
}

}  // namespace dsr::detail
