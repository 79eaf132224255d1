// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Catch2, whichever of v2 and v3 is installed.
#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>
#endif
