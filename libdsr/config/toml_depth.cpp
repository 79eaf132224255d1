// SPDX-License-Identifier: Apache-2.0
#include "libdsr/config/toml_depth.hpp"

#include <algorithm>

namespace dsr::detail {
namespace {

/// The place behind the string that begins at `begin` with a quotation mark. One that is not closed
/// ends with its line, or, where three marks open it, with the text.
std::size_t end_of_string(std::string_view text, std::size_t begin) {
  char const mark = text[begin];
  bool const three = begin + 2 < text.size() && text[begin + 1] == mark && text[begin + 2] == mark;
  std::size_t at = begin + (three ? 3 : 1);
  for (; at < text.size(); ++at) {
    if (text[at] == '\\' && mark == '"') {
      ++at;  // also a mark
    } else if (text[at] == mark) {
      if (!three) return at + 1;
      if (text.substr(at).starts_with(std::string_view{text.data() + begin, 3})) return at + 3;
    } else if (text[at] == '\n' && !three) {
      return at;
    }
  }
  return text.size();
}

}  // namespace

Size line_of_deep_key(std::string_view text) {
  constexpr std::string_view kEndsKey{"\n=,[]{}"};
  Size line = 1;
  int parts = 1;
  for (std::size_t at = 0; at < text.size();) {
    char const c = text[at];
    std::size_t next = at + 1;
    if (c == '#') next = std::min(text.find('\n', at), text.size());
    if (c == '"' || c == '\'') next = end_of_string(text, at);
    if (kEndsKey.find(c) != kEndsKey.npos) parts = 1;
    if (c == '.' && ++parts > kMostKeyParts) return line;
    std::string_view const passed = text.substr(at, next - at);
    line += std::ranges::count(passed, '\n');
    at = next;
  }
  return 0;
}

}  // namespace dsr::detail
