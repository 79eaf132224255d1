// SPDX-License-Identifier: Apache-2.0
#include "dsr/core/buffer.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <utility>

#include "dsr/core/error.hpp"

namespace dsr {
namespace {

constexpr Size kPage_bytes = 4096;
/// More than any machine can address; asking the system for it would only end in its own error.
constexpr Size kAddressable_bytes = Size{1} << 56;
/// Not canonical on 64-bit machines: whoever touches meta memory faults, and Arena::kUnbounded can
/// be added to it.
constexpr std::uintptr_t kMetaAddress = std::uintptr_t{1} << 62;

void* allocate(Size bytes) {
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
  return memory;
}

}  // namespace

Buffer::Buffer(Size bytes, Device device) : bytes_(bytes), device_(device) {
  if (bytes < 0) {
    throw InvalidArgument(problem("buffer", std::to_string(bytes) + " bytes", ">= 0"));
  }
  require_device(device);
  data_ =
      device.kind == Device::Kind::meta ? reinterpret_cast<void*>(kMetaAddress) : allocate(bytes);
}

Buffer Buffer::pinned(Size bytes) { return Buffer{bytes, kCpu}; }

Buffer::~Buffer() {
  if (device_.kind == Device::Kind::cpu) std::free(data_);
}

Buffer::Buffer(Buffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      bytes_(std::exchange(other.bytes_, 0)),
      device_(other.device_) {}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  std::swap(device_, other.device_);
  return *this;
}

}  // namespace dsr
