// SPDX-License-Identifier: Apache-2.0
#include "libdsr/ops/cuda/workspace.hpp"

#include <string>

#include "dsr/core/error.hpp"
#include "libdsr/core/cuda/check.hpp"

namespace dsr::detail {

bool capturing(Stream& stream) {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  check(cudaStreamIsCapturing(native(stream), &status));
  return status != cudaStreamCaptureStatusNone;
}

Size Workspace::bytes() const { return pieces_.empty() ? 0 : pieces_.back().bytes(); }

void* Workspace::at_least(Size bytes, Stream& stream) {
  if (pieces_.empty() || pieces_.back().bytes() < bytes) {
    if (capturing(stream)) {
      throw InvalidArgument(problem("workspace",
                                    "first use of an operation that needs " +
                                        std::to_string(bytes) + " bytes, while a graph is captured",
                                    "operations that have run on this stream before"));
    }
    pieces_.emplace_back(bytes, device_);
  }
  return pieces_.back().data();
}

}  // namespace dsr::detail
