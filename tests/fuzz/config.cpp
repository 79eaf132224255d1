// SPDX-License-Identifier: Apache-2.0
/// Configuration files: any text either sets keys or is refused with its problems.
#include <cstdint>
#include <string_view>

#include "dsr/config/key_table.hpp"
#include "dsr/config/train_settings.hpp"
#include "dsr/core/error.hpp"

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  std::string_view const text{reinterpret_cast<char const*>(data), size};
  dsr::TrainSettings settings;
  dsr::KeyTable table;
  dsr::bind(table, settings);
  try {
    dsr::parse_toml(table, text, "fuzz.toml");
  } catch (dsr::InvalidArgument const&) {
    // every problem of the text
  }
  try {
    dsr::apply_set(table, text);
  } catch (dsr::InvalidArgument const&) {
    return 0;
  }
  return 0;
}
