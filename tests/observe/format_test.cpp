// SPDX-License-Identifier: Apache-2.0
#include "dsr/observe/format.hpp"

#include <limits>

#include "support/catch.hpp"

using namespace dsr;

namespace {
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();
}  // namespace

TEST_CASE("format_bytes") {
  CHECK(format_bytes(0) == "0 B");
  CHECK(format_bytes(512) == "512 B");
  CHECK(format_bytes(1023) == "1023 B");
  CHECK(format_bytes(1024) == "1.00 KiB");
  CHECK(format_bytes(1536) == "1.50 KiB");
  CHECK(format_bytes(Size{80} << 30U) == "80.0 GiB");
  CHECK(format_bytes((Size{1} << 20U) - 1) == "1.00 MiB");
  CHECK(format_bytes(-2048) == "-2.00 KiB");
  CHECK(format_bytes(std::numeric_limits<Size>::max()) == "8192 PiB");
}

TEST_CASE("format_count") {
  CHECK(format_count(0) == "0");
  CHECK(format_count(999) == "999");
  CHECK(format_count(0.125) == "0.12");
  CHECK(format_count(12345) == "12.3k");
  CHECK(format_count(999'600) == "1.00M");
  CHECK(format_count(124e6) == "124M");
  CHECK(format_count(1.3e9) == "1.30G");
  CHECK(format_count(99.96e9) == "100G");
  CHECK(format_count(kNan) == "-");
  CHECK(format_count(kInfinity) == "inf");
  CHECK(format_count(-kInfinity) == "-inf");
}

TEST_CASE("format_duration") {
  CHECK(format_duration(0) == "0.0 ms");
  CHECK(format_duration(0.00123) == "1.2 ms");
  CHECK(format_duration(0.85) == "850 ms");
  CHECK(format_duration(0.9999) == "1.0 s");
  CHECK(format_duration(12.34) == "12.3 s");
  CHECK(format_duration(59.96) == "1m 00s");
  CHECK(format_duration(200) == "3m 20s");
  CHECK(format_duration(7'500) == "2h 05m");
  CHECK(format_duration(86'399.7) == "1d 00h");
  CHECK(format_duration(273'600) == "3d 04h");
  CHECK(format_duration(kNan) == "-");
  CHECK(format_duration(kInfinity) == "-");
}
