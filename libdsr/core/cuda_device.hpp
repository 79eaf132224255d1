// SPDX-License-Identifier: Apache-2.0
#pragma once
/// What core asks of CUDA: libdsr/core/cuda/ does it, and in a build without CUDA no_cuda.cpp
/// refuses.
#include <functional>
#include <memory>

#include "dsr/core/device.hpp"
#include "dsr/core/shape.hpp"
#include "dsr/core/stream.hpp"
#include "libdsr/core/stream_state.hpp"

namespace dsr::detail {

/// Memory and what gives it back.
struct Allocation {
  void* data = nullptr;
  void (*release)(void*) noexcept = nullptr;
};

/// Memory of the host, aligned for any tensor. Throws OutOfMemory.
Allocation allocate_on_host(Size bytes);

/// Number of usable devices; 0 if there is no driver or no device.
int cuda_device_count();
/// Throws CudaError: no CUDA in this build, no driver, no such device, or one that the kernels were
/// not compiled for.
void require_cuda(Device device);
/// 10·major + minor of a device that is there.
int cuda_capability(Device device);
/// Throws CudaError as require_cuda does.
Size cuda_free_bytes(Device device);
/// Throws OutOfMemory: bytes asked for, free and in total.
Allocation allocate_on_cuda(Size bytes, Device device);
/// Page-locked memory of the host; ordinary memory where there is no device.
Allocation allocate_pinned(Size bytes);
std::unique_ptr<StreamState> make_cuda_stream(Device device, StreamKind kind);
/// In the order of the stream, which is on CUDA.
void cuda_copy(void* to, void const* from, Size bytes, Stream& stream);
void cuda_zero(void* to, Size bytes, Stream& stream);
/// Records what `work` enqueues; of a stream on CUDA. See Graph.
std::shared_ptr<void> record_on_cuda(Stream& stream, std::function<void()> const& work);
void replay_on_cuda(void* recorded, Stream& stream);

}  // namespace dsr::detail
