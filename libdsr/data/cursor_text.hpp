// SPDX-License-Identifier: Apache-2.0
#pragma once
/// The saved form of a Loader's cursor, with what it depends on.
#include <cstdint>
#include <string>

#include "dsr/data/loader.hpp"

namespace dsr::detail {

struct SavedCursor {
  Cursor cursor;
  Size sequences = 0, sequence = 0;
  std::uint64_t seed = 0;
  DataOrder order = DataOrder::shuffled;
  bool operator==(SavedCursor const&) const = default;
};

std::string to_text(SavedCursor const& saved);

/// Throws CorruptData unless the text is exactly what to_text writes.
SavedCursor parse_cursor(std::string const& text);

}  // namespace dsr::detail
