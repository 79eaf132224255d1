// SPDX-License-Identifier: Apache-2.0
#include "dsr/core/buffer.hpp"

#include <cstdint>
#include <cstring>
#include <thread>
#include <utility>
#include <vector>

#include "dsr/core/error.hpp"
#include "support/catch.hpp"
#include "support/text_of.hpp"

using namespace dsr;

namespace {
bool aligned(void* address, Size bytes) {
  return reinterpret_cast<std::uintptr_t>(address) % static_cast<std::uintptr_t>(bytes) == 0;
}
}  // namespace

TEST_CASE("a buffer on the CPU is aligned and writable to its end") {
  for (Size bytes : {Size{0}, Size{1}, Size{127}, Size{4096}, Size{1} << 20}) {
    Buffer const buffer{bytes, kCpu};
    REQUIRE(buffer.data() != nullptr);
    CHECK(buffer.bytes() == bytes);
    CHECK(buffer.device() == kCpu);
    CHECK(aligned(buffer.data(), bytes >= 4096 ? 4096 : kAlignment_bytes));
    std::memset(buffer.data(), 7, static_cast<std::size_t>(bytes));
  }
}

TEST_CASE("a pinned buffer is the host's, with or without a GPU") {
  Buffer buffer = Buffer::pinned(1000);
  REQUIRE(buffer.data() != nullptr);
  CHECK(buffer.bytes() == 1000);
  CHECK(buffer.device() == kCpu);
  std::memset(buffer.data(), 7, 1000);
  void* const address = buffer.data();
  buffer = Buffer{64, kCpu};
  CHECK(buffer.data() != address);
  CHECK_THROWS_AS(Buffer::pinned(-1), InvalidArgument);
}

TEST_CASE("moving hands the memory over") {
  Buffer first{256, kCpu};
  void* const address = first.data();
  Buffer second{std::move(first)};
  CHECK(second.data() == address);
  Buffer third{64, kCpu};
  third = std::move(second);
  CHECK(third.data() == address);
  CHECK(third.bytes() == 256);
  CHECK(Buffer{}.data() == nullptr);
}

TEST_CASE("a meta buffer has an address and no memory") {
  Buffer const buffer{Size{1} << 60, kMeta};
  CHECK(buffer.data() != nullptr);
  CHECK(aligned(buffer.data(), 4096));
  CHECK(buffer.bytes() == Size{1} << 60);
  CHECK(Buffer(0, kMeta).data() != nullptr);
}

TEST_CASE("buffers are counted by device, while they live") {
  Size const before = allocated_bytes(kCpu);
  {
    Buffer first{1000, kCpu};
    Buffer const pinned = Buffer::pinned(24), meta{Size{1} << 50, kMeta};
    CHECK(allocated_bytes(kCpu) == before + 1024);
    CHECK(allocated_bytes(kMeta) == 0);
    CHECK(most_allocated_bytes(kMeta) == 0);
    Buffer second{std::move(first)};
    CHECK(allocated_bytes(kCpu) == before + 1024);
    second = Buffer{10, kCpu};
    CHECK(allocated_bytes(kCpu) == before + 34);
    CHECK(most_allocated_bytes(kCpu) >= before + 1034);
  }
  CHECK(allocated_bytes(kCpu) == before);
  CHECK_THROWS_AS(Buffer(Size{1} << 60, kCpu), OutOfMemory);
  CHECK(allocated_bytes(kCpu) == before);
  CHECK(allocated_bytes({Device::Kind::cuda, 1000}) == 0);
}

TEST_CASE("buffers of several threads are all counted") {
  Size const before = allocated_bytes(kCpu);
  std::vector<Buffer> kept(4);
  std::vector<std::thread> threads;
  for (Buffer& mine : kept) {
    threads.emplace_back([&mine] {
      for (int i = 0; i < 1000; ++i) mine = Buffer{100, kCpu};
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(allocated_bytes(kCpu) == before + 400);
}

TEST_CASE("a buffer that cannot be had is refused with its size") {
  std::string const refusal = test::text_of<OutOfMemory>([] { Buffer(Size{1} << 60, kCpu); });
  CHECK(test::contains(refusal, "1152921504606846976 bytes"));
  CHECK_THROWS_AS(Buffer(-1, kCpu), InvalidArgument);
  if (device_count(Device::Kind::cuda) == 0) {
    CHECK_THROWS_AS(Buffer(8, Device{Device::Kind::cuda, 0}), CudaError);
  }
}
