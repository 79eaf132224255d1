// SPDX-License-Identifier: Apache-2.0
// Compiled instead of libdsr/core/cuda/ in a build without CUDA.
#include "dsr/core/error.hpp"
#include "libdsr/core/cuda_device.hpp"
#include "libdsr/core/profiler.hpp"

namespace dsr::detail {

int cuda_device_count() { return 0; }

void require_cuda(Device device) {
  throw CudaError(problem("device", to_string(device) + ", but this build has no CUDA", "cpu, meta",
                          "device = cpu"));
}

int cuda_capability(Device) { return 0; }

Size cuda_free_bytes(Device device) {
  require_cuda(device);
  return 0;
}

Allocation allocate_on_cuda(Size, Device device) {
  require_cuda(device);
  return {};
}

Allocation allocate_pinned(Size bytes) { return allocate_on_host(bytes); }

std::unique_ptr<StreamState> make_cuda_stream(Device device, StreamKind) {
  require_cuda(device);
  return nullptr;
}

void cuda_copy(void*, void const*, Size, Stream& stream) { require_cuda(stream.device()); }
void cuda_zero(void*, Size, Stream& stream) { require_cuda(stream.device()); }

std::shared_ptr<void> record_on_cuda(Stream& stream, std::function<void()> const&) {
  require_cuda(stream.device());
  return nullptr;
}
void replay_on_cuda(void*, Stream& stream) { require_cuda(stream.device()); }

void begin_range(char const*) noexcept {}
void end_range() noexcept {}

}  // namespace dsr::detail
