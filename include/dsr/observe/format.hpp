// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Numbers for people: format_bytes(1536) == "1.50 KiB", format_count(12345) == "12.3k",
/// format_duration(200) == "3m 20s".
#include <string>

#include "dsr/core/shape.hpp"

namespace dsr {

/// Three digits and a binary unit: "512 B", "1.50 KiB", "80.0 GiB".
std::string format_bytes(Size bytes);

/// Three digits and k, M, G or T: "999", "12.3k", "124M". "-" for NaN, "inf" for infinity.
std::string format_count(double count);

/// "1.2 ms", "850 ms", "12.3 s", "3m 20s", "2h 05m", "3d 04h". "-" for NaN and infinity.
std::string format_duration(double duration_s);

}  // namespace dsr
