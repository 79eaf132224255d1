// SPDX-License-Identifier: Apache-2.0
#include "dsr/core/device.hpp"

#include "dsr/core/error.hpp"
#include "support/catch.hpp"
#include "support/text_of.hpp"

using namespace dsr;

TEST_CASE("a device is read back from its name") {
  for (Device device :
       {kCpu, kMeta, Device{Device::Kind::cuda, 0}, Device{Device::Kind::cuda, 13}}) {
    CHECK(parse_device(to_string(device)) == device);
  }
  CHECK(parse_device("cuda") == Device{Device::Kind::cuda, 0});
  CHECK(to_string(kCpu) == "cpu");
}

TEST_CASE("an unknown device is refused with the nearest known one") {
  auto refusal = [](std::string_view text) {
    return test::text_of<InvalidArgument>([&] { parse_device(text); });
  };
  CHECK(refusal("cdua") ==
        "dsr: device: \"cdua\", allowed cpu, cuda, cuda:<number>, meta; nearest cuda");
  CHECK(test::contains(refusal("gpu"), "nearest cpu"));
  CHECK(test::contains(refusal("mta"), "nearest meta"));
  for (char const* text :
       {"", "cuda:", "cuda:x", "cuda:1x", "cuda:-1", "cuda:99999999999", "cpu:0", " cpu"}) {
    CHECK(test::contains(refusal(text), "dsr: device: "));
  }
}

TEST_CASE("memory of a device, and what it can do") {
  CHECK(available_bytes(kCpu) > (Size{1} << 28));
  CHECK(available_bytes(kCpu) < (Size{1} << 50));
  CHECK(available_bytes(kMeta) > (Size{1} << 60));
  CHECK(compute_capability(kCpu) == 0);
  CHECK(compute_capability({Device::Kind::cuda, 1000}) == 0);
  if (device_count(Device::Kind::cuda) > 0) {
    CHECK(available_bytes({Device::Kind::cuda, 0}) > (Size{1} << 28));
    CHECK(compute_capability({Device::Kind::cuda, 0}) >= 80);
    return;
  }
  CHECK_THROWS_AS(available_bytes({Device::Kind::cuda, 0}), CudaError);
}

TEST_CASE("a device that cannot be used is refused with the reason") {
  CHECK(device_count(Device::Kind::cpu) == 1);
  CHECK(device_count(Device::Kind::meta) == 1);
  CHECK_NOTHROW(require_device(kCpu));
  CHECK_NOTHROW(require_device(kMeta));
  if (device_count(Device::Kind::cuda) > 0) return;
  std::string const refusal =
      test::text_of<CudaError>([] { require_device({Device::Kind::cuda, 1}); });
  INFO(refusal);
  // A build without CUDA, or one with it on a machine without a GPU.
  CHECK((refusal == "dsr: device: cuda:1, but this build has no CUDA, allowed cpu, meta; nearest "
                    "device = cpu" ||
         test::contains(refusal, "dsr: no CUDA device: ")));
  CHECK(test::contains(refusal, "nearest device = cpu"));
}
