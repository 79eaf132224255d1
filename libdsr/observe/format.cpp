// SPDX-License-Identifier: Apache-2.0
#include "dsr/observe/format.hpp"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <string_view>

namespace dsr {
namespace {

/// Three digits: "1.50", "12.3", "124". The limits are where rounding would give a fourth.
std::string three_digits(double value) {
  double const size = std::abs(value);
  return fmt::format("{:.{}f}", value, size < 9.995 ? 2 : size < 99.95 ? 1 : 0);
}

/// Divides by `unit` until fewer than four digits are left.
template <std::size_t N>
std::string scaled(double value, double unit, double limit,
                   std::array<std::string_view, N> const& names) {
  std::size_t i = 0;
  while (std::abs(value) >= limit && i + 1 < N) {
    value /= unit;
    ++i;
  }
  bool const whole = i == 0 && value == std::floor(value);
  return (whole ? fmt::format("{:.0f}", value) : three_digits(value)) + std::string{names[i]};
}

}  // namespace

std::string format_bytes(Size bytes) {
  constexpr std::array<std::string_view, 6> kNames{" B", " KiB", " MiB", " GiB", " TiB", " PiB"};
  return scaled(static_cast<double>(bytes), 1024, 1023.5, kNames);
}

std::string format_count(double count) {
  constexpr std::array<std::string_view, 5> kNames{"", "k", "M", "G", "T"};
  if (std::isnan(count)) return "-";
  if (std::isinf(count)) return count > 0 ? "inf" : "-inf";
  return scaled(count, 1000, 999.5, kNames);
}

std::string format_duration(double duration_s) {
  if (!std::isfinite(duration_s)) return "-";
  if (duration_s < 0.9995)
    return duration_s < 0.00995 ? fmt::format("{:.1f} ms", duration_s * 1e3)
                                : fmt::format("{:.0f} ms", duration_s * 1e3);
  if (duration_s < 59.95) return fmt::format("{:.1f} s", duration_s);
  Size const s = std::llround(duration_s), minutes = s / 60, hours = s / 3600;
  if (hours >= 24) return fmt::format("{}d {:02}h", hours / 24, hours % 24);
  if (hours >= 1) return fmt::format("{}h {:02}m", hours, minutes % 60);
  return fmt::format("{}m {:02}s", minutes, s % 60);
}

}  // namespace dsr
