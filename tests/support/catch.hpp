// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Catch2, whichever of v2 and v3 is installed, and the two names that differ between them.
#include <string>

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>

namespace dsr::test {
using Catch::Approx;
inline auto contains(std::string const& text) { return Catch::Matchers::ContainsSubstring(text); }
}  // namespace dsr::test
#else
#include <catch2/catch.hpp>

namespace dsr::test {
using Catch::Detail::Approx;
inline auto contains(std::string const& text) { return Catch::Matchers::Contains(text); }
}  // namespace dsr::test
#endif
