// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Text helpers for error messages.
///
///     nearest_name("cdua", std::array<std::string_view, 3>{"cpu", "cuda", "meta"}) == "cuda"
#include <span>
#include <string>
#include <string_view>

namespace dsr {

/// The known name with the fewest edits (insert, delete, replace, swap of neighbours; case ignored)
/// from `name`; the first of equals; empty if none is known.
std::string nearest_name(std::string_view name, std::span<std::string_view const> known);

}  // namespace dsr
