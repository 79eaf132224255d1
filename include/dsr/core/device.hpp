// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Device: where memory lives and work runs. `meta` has no memory: work there is checked and
/// counted, not done.
#include <cstdint>
#include <string>
#include <string_view>

#include "dsr/core/shape.hpp"

namespace dsr {

struct Device {
  enum class Kind : std::uint8_t { cpu, cuda, meta };
  Kind kind = Kind::cpu;
  int index = 0;
  bool operator==(Device const&) const = default;
};

inline constexpr Device kCpu{Device::Kind::cpu, 0};
inline constexpr Device kMeta{Device::Kind::meta, 0};

/// "cpu", "cuda:0", "meta".
std::string to_string(Device device);

/// "cpu", "cuda", "cuda:1" or "meta" → Device. Throws InvalidArgument that names the nearest known
/// device.
Device parse_device(std::string_view text);

/// Devices of a kind that this process can use; 0 for cuda in a build without it or on a machine
/// without a GPU.
int device_count(Device::Kind kind);

/// Bytes that may be taken: on CUDA what is free now, on the CPU all memory of the machine, since
/// what others hold may go; no limit on meta. Throws CudaError as require_device does.
Size available_bytes(Device device);

/// 10 times the major plus the minor compute capability, such as 90; 0 if there is no such GPU.
int compute_capability(Device device);

/// Throws CudaError if the device cannot be used: CUDA in a build without it, no GPU, a number that
/// no GPU has, a GPU that this build has no kernels for.
void require_device(Device device);

}  // namespace dsr
