// SPDX-License-Identifier: Apache-2.0
#include "dsr/core/dtype.hpp"

#include "support/catch.hpp"

using namespace dsr;

TEST_CASE("an element type has the size and type of its C++ twin") {
  CHECK(size_of(dtype_of<std::uint8_t>) == sizeof(std::uint8_t));
  CHECK(size_of(dtype_of<std::byte>) == sizeof(std::byte));
  CHECK(size_of(dtype_of<std::int32_t>) == sizeof(std::int32_t));
  CHECK(size_of(dtype_of<std::int64_t>) == sizeof(std::int64_t));
  CHECK(size_of(dtype_of<float>) == sizeof(float));
  CHECK(size_of(dtype_of<double>) == sizeof(double));
  CHECK(size_of(DType::bf16) == 2);
}

TEST_CASE("element types have names") {
  CHECK(name_of(DType::u8) == "u8");
  CHECK(name_of(DType::i32) == "i32");
  CHECK(name_of(DType::i64) == "i64");
  CHECK(name_of(DType::bf16) == "bf16");
  CHECK(name_of(DType::f32) == "f32");
  CHECK(name_of(DType::f64) == "f64");
}
