// SPDX-License-Identifier: Apache-2.0
#include "dsr/core/arena.hpp"

#include <cstdint>
#include <cstring>
#include <utility>

#include "dsr/core/error.hpp"
#include "support/catch.hpp"
#include "support/text_of.hpp"

using namespace dsr;

TEST_CASE("takes are aligned, disjoint and repeat their addresses") {
  Arena arena{1024, kCpu};
  Tensor const first = arena.take({3}, DType::f32);
  Size const mark = arena.used_bytes();
  Tensor const second = arena.take({2, 5}, DType::f64);
  for (Tensor const& tensor : {first, second}) {
    CHECK(reinterpret_cast<std::uintptr_t>(tensor.raw()) %
              static_cast<std::uintptr_t>(kAlignment_bytes) ==
          0);
    CHECK(tensor.contiguous());
  }
  std::memset(first.raw(), 1, 12);
  std::memset(second.raw(), 2, 80);
  CHECK(*static_cast<unsigned char*>(first.raw()) == 1);
  CHECK(second.shape() == Shape{2, 5});
  CHECK(second.dtype() == DType::f64);
  arena.release(mark);
  CHECK(arena.take({1}, DType::u8).raw() == second.raw());
  arena.release(0);
  CHECK(arena.take({200}, DType::u8).raw() == first.raw());
}

TEST_CASE("the high-water mark stays") {
  Arena arena{1024, kCpu};
  arena.take({300}, DType::u8);
  CHECK(arena.used_bytes() == 384);
  arena.release(0);
  arena.take({1}, DType::u8);
  CHECK(arena.used_bytes() == 128);
  CHECK(arena.high_water_bytes() == 384);
  CHECK(arena.capacity_bytes() == 1024);
}

TEST_CASE("an arena can be filled to its last byte and not beyond") {
  Arena arena{256, kCpu};
  arena.take({32}, DType::f32);
  CHECK_NOTHROW(arena.take({32}, DType::f32));
  CHECK(test::text_of<OutOfMemory>([&] { arena.take({3}, DType::f32); }) ==
        "dsr: arena on cpu: take of 12 bytes for [3] f32 with 256 of 256 bytes in use, allowed up "
        "to 0 bytes");
  CHECK(arena.used_bytes() == 256);
  CHECK_THROWS_AS(Arena{}.take({1}, DType::u8), OutOfMemory);
}

TEST_CASE("no elements take no bytes and still give a defined tensor") {
  Arena arena{0, kCpu};
  CHECK(arena.take({0, 8}, DType::f32).defined());
  CHECK(arena.used_bytes() == 0);
}

TEST_CASE("release refuses what is not an earlier mark") {
  Arena arena{512, kCpu};
  arena.take({1}, DType::u8);
  CHECK_THROWS_AS(arena.release(256), InvalidArgument);
  CHECK_THROWS_AS(arena.release(-1), InvalidArgument);
  CHECK_NOTHROW(arena.release(arena.used_bytes()));
}

TEST_CASE("an unbounded meta arena measures what a bounded one needs") {
  auto use = [](Arena& arena) {
    arena.take({7, 5}, DType::f32);
    Size const mark = arena.used_bytes();
    arena.take({1000}, DType::f64);
    arena.release(mark);
    arena.take({0, 3}, DType::f64);
    arena.take({33}, DType::i32);
    return arena.high_water_bytes();
  };
  Arena meta{Arena::kUnbounded, kMeta};
  Size const needed_bytes = use(meta);
  Arena exact{needed_bytes, kCpu};
  CHECK(use(exact) == needed_bytes);
  Arena small{needed_bytes - 1, kCpu};
  CHECK_THROWS_AS(use(small), OutOfMemory);
}

TEST_CASE("an arena moves with its memory") {
  Arena arena{512, kCpu};
  Tensor const tensor = arena.take({4}, DType::f32);
  Arena moved{std::move(arena)};
  tensor.data<float>()[3] = 1;
  moved.release(0);
  CHECK(moved.take({4}, DType::f32).raw() == tensor.raw());
}
