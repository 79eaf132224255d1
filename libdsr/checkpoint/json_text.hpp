// SPDX-License-Identifier: Apache-2.0
#pragma once
/// JSON files from outside, as a tree: with a limit on bytes and on depth, and no key twice.
///
///     nlohmann::json const config = parse_json_file(files, "gpt2/config.json", 1 << 20);
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "dsr/core/shape.hpp"
#include "dsr/io/file_system.hpp"

namespace dsr::detail {

/// Throws CorruptData naming path and place: not JSON, deeper than 32 levels, a key twice.
nlohmann::json parse_json(std::string_view text, std::string const& path);

/// Throws IoError too, also if the file has more than `most_bytes`.
nlohmann::json parse_json_file(FileSystem& files, std::string const& path, Size most_bytes);

}  // namespace dsr::detail
