// SPDX-License-Identifier: Apache-2.0
#include "dsr/core/device.hpp"

#include <unistd.h>

#include <array>
#include <charconv>
#include <limits>

#include "dsr/core/error.hpp"
#include "dsr/core/text.hpp"
#include "libdsr/core/cuda_device.hpp"

namespace dsr {
namespace {

constexpr std::array<std::string_view, 3> kNames{"cpu", "cuda", "meta"};

[[noreturn]] void refuse(std::string_view text, std::string const& nearest) {
  throw InvalidArgument(problem("device", "\"" + std::string{text} + "\"",
                                "cpu, cuda, cuda:<number>, meta", nearest));
}

}  // namespace

std::string to_string(Device device) {
  switch (device.kind) {
    case Device::Kind::cpu: return "cpu";
    case Device::Kind::cuda: return "cuda:" + std::to_string(device.index);
    case Device::Kind::meta: return "meta";
  }
  return "unknown";
}

Device parse_device(std::string_view text) {
  if (text == "cpu") return kCpu;
  if (text == "meta") return kMeta;
  if (text == "cuda") return {Device::Kind::cuda, 0};
  std::string_view const name = text.substr(0, text.find(':'));
  if (name != "cuda") refuse(text, nearest_name(name, kNames));
  std::string_view const digits = text.substr(name.size() + 1);
  Device device{Device::Kind::cuda, 0};
  auto const [end, status] =
      std::from_chars(digits.data(), digits.data() + digits.size(), device.index);
  if (status != std::errc{} || end != digits.data() + digits.size() || device.index < 0) {
    refuse(text, "cuda:0");
  }
  return device;
}

int device_count(Device::Kind kind) {
  return kind == Device::Kind::cuda ? detail::cuda_device_count() : 1;
}

Size available_bytes(Device device) {
  if (device.kind == Device::Kind::cuda) return detail::cuda_free_bytes(device);
  long const pages = sysconf(_SC_PHYS_PAGES), page_bytes = sysconf(_SC_PAGESIZE);
  bool const known = device.kind == Device::Kind::cpu && pages > 0 && page_bytes > 0;
  return known ? Size{pages} * Size{page_bytes} : std::numeric_limits<Size>::max();
}

int compute_capability(Device device) {
  bool const there = device.kind == Device::Kind::cuda && device.index >= 0 &&
                     device.index < device_count(device.kind);
  return there ? detail::cuda_capability(device) : 0;
}

void require_device(Device device) {
  if (device.kind == Device::Kind::cuda) detail::require_cuda(device);
}

}  // namespace dsr
