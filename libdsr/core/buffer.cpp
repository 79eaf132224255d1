// SPDX-License-Identifier: Apache-2.0
#include "dsr/core/buffer.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <utility>

#include "dsr/core/error.hpp"
#include "libdsr/core/cuda_device.hpp"

namespace dsr {
namespace {

constexpr Size kPage_bytes = 4096;
/// More than any machine can address; asking the system for it would only end in its own error.
constexpr Size kAddressable_bytes = Size{1} << 56;
/// Not canonical on 64-bit machines: whoever touches meta memory faults, and Arena::kUnbounded can
/// be added to it.
constexpr std::uintptr_t kMetaAddress = std::uintptr_t{1} << 62;

void require_bytes(Size bytes) {
  if (bytes < 0) {
    throw InvalidArgument(problem("buffer", std::to_string(bytes) + " bytes", ">= 0"));
  }
}

/// Bytes of one device's Buffers. Counts need no order among themselves or with anything else.
struct Count {
  std::atomic<Size> now{0}, most{0};

  void add(Size bytes) {
    Size const sum = now.fetch_add(bytes, std::memory_order_relaxed) + bytes;
    Size seen = most.load(std::memory_order_relaxed);
    while (seen < sum && !most.compare_exchange_weak(seen, sum, std::memory_order_relaxed)) {
    }
  }
};

constexpr int kCudaDevices = 32;  ///< counted apart; those beyond are counted with the last

/// Of cpu or cuda: a buffer on meta has no bytes.
Count& count_of(Device device) {
  static std::array<Count, 1 + kCudaDevices> counts;
  if (device.kind == Device::Kind::cpu) return counts[0];
  return counts[1 + static_cast<std::size_t>(std::clamp(device.index, 0, kCudaDevices - 1))];
}

void count(Size bytes, Device device) {
  if (device.kind != Device::Kind::meta) count_of(device).add(bytes);
}

void free_on_host(void* memory) noexcept { std::free(memory); }

detail::Allocation allocate(Size bytes, Device device) {
  switch (device.kind) {
    case Device::Kind::cpu: return detail::allocate_on_host(bytes);
    case Device::Kind::cuda: return detail::allocate_on_cuda(bytes, device);
    case Device::Kind::meta: break;
  }
  return {reinterpret_cast<void*>(kMetaAddress), nullptr};
}

}  // namespace

detail::Allocation detail::allocate_on_host(Size bytes) {
  void* memory = nullptr;
  Size const alignment_bytes = bytes >= kPage_bytes ? kPage_bytes : kAlignment_bytes;
  // Zero bytes are given an address of their own, so that a tensor without elements counts as
  // defined.
  auto const asked_bytes = static_cast<std::size_t>(std::max(bytes, kAlignment_bytes));
  if (bytes > kAddressable_bytes ||
      posix_memalign(&memory, static_cast<std::size_t>(alignment_bytes), asked_bytes) != 0) {
    throw OutOfMemory(
        problem("buffer on cpu", std::to_string(bytes) + " bytes cannot be allocated"));
  }
  return {memory, free_on_host};
}

Buffer::Buffer(Size bytes, Device device) : bytes_(bytes), device_(device) {
  require_bytes(bytes);
  detail::Allocation const memory = allocate(bytes, device);
  data_ = memory.data;
  release_ = memory.release;
  count(bytes_, device_);
}

Buffer Buffer::pinned(Size bytes) {
  require_bytes(bytes);
  detail::Allocation const memory = detail::allocate_pinned(bytes);
  Buffer buffer;
  buffer.data_ = memory.data;
  buffer.release_ = memory.release;
  buffer.bytes_ = bytes;
  count(bytes, kCpu);
  return buffer;
}

Buffer::~Buffer() {
  if (data_ == nullptr) return;
  count(-bytes_, device_);
  if (release_ != nullptr) release_(data_);
}

Buffer::Buffer(Buffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      release_(other.release_),
      bytes_(std::exchange(other.bytes_, 0)),
      device_(other.device_) {}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(release_, other.release_);
  std::swap(bytes_, other.bytes_);
  std::swap(device_, other.device_);
  return *this;
}

Size allocated_bytes(Device device) {
  if (device.kind == Device::Kind::meta) return 0;
  return count_of(device).now.load(std::memory_order_relaxed);
}

Size most_allocated_bytes(Device device) {
  if (device.kind == Device::Kind::meta) return 0;
  return count_of(device).most.load(std::memory_order_relaxed);
}

}  // namespace dsr
