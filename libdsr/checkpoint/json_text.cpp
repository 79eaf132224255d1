// SPDX-License-Identifier: Apache-2.0
#include "libdsr/checkpoint/json_text.hpp"

#include <set>
#include <vector>

#include "dsr/core/error.hpp"

namespace dsr::detail {
namespace {

constexpr int kMostDepth = 32;

}  // namespace

nlohmann::json parse_json(std::string_view text, std::string const& path) {
  using Event = nlohmann::json::parse_event_t;
  std::vector<std::set<std::string>> keys;  // of the objects that are open
  auto const check = [&](int depth, Event event, nlohmann::json& value) {
    if (depth > kMostDepth)
      throw CorruptData(
          problem(path, "JSON of more than " + std::to_string(kMostDepth) + " levels"));
    if (event == Event::object_start) keys.emplace_back();
    if (event == Event::object_end) keys.pop_back();
    if (event == Event::key && !keys.back().insert(value.get<std::string>()).second)
      throw CorruptData(problem(path, "the key " + value.dump() + " twice"));
    return true;
  };
  try {
    return nlohmann::json::parse(text, check);
  } catch (nlohmann::json::parse_error const& error) {
    throw CorruptData(problem(path, "no JSON at byte " + std::to_string(error.byte)));
  } catch (nlohmann::json::exception const&) {
    throw CorruptData(problem(path, "JSON with a number that is too large"));
  }
}

nlohmann::json parse_json_file(FileSystem& files, std::string const& path, Size most_bytes) {
  return parse_json(read_text(files, path, most_bytes), path);
}

}  // namespace dsr::detail
