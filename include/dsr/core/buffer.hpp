// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Buffer owns memory on a device; a Tensor views it. On `meta` it has addresses and no memory.
///
///     Buffer weights{bytes, runtime.device()};
///     Tensor w{weights.data(), {F, H}, DType::f32, weights.device()};
#include "dsr/core/device.hpp"
#include "dsr/core/shape.hpp"

namespace dsr {

/// Alignment of every Buffer and of every tensor that an Arena hands out.
inline constexpr Size kAlignment_bytes = 128;

/// Moves, does not copy: two owners of one allocation would free it twice. Not thread-safe.
class Buffer {
 public:
  Buffer() = default;
  /// Uninitialised memory; data() is not null even for 0 bytes. Throws OutOfMemory with the size
  /// asked for (on CUDA also free and total), CudaError as require_device does, InvalidArgument if
  /// bytes < 0.
  Buffer(Size bytes, Device device);
  /// Host memory that a GPU copies to and from without the caller's waiting; ordinary memory where
  /// there is no GPU. Throws as the constructor.
  static Buffer pinned(Size bytes);
  ~Buffer();
  Buffer(Buffer&& other) noexcept;
  Buffer& operator=(Buffer&& other) noexcept;
  Buffer(Buffer const&) = delete;
  Buffer& operator=(Buffer const&) = delete;

  void* data() const { return data_; }
  Size bytes() const { return bytes_; }
  Device device() const { return device_; }

 private:
  void* data_ = nullptr;
  void (*release_)(void*) noexcept = nullptr;
  Size bytes_ = 0;
  Device device_ = kCpu;
};

/// Bytes of all Buffers that live on a device now; pinned ones count as the CPU's, on meta there
/// are none. Thread-safe.
Size allocated_bytes(Device device);
/// The largest allocated_bytes() of this process so far.
Size most_allocated_bytes(Device device);

}  // namespace dsr
