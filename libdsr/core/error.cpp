// SPDX-License-Identifier: Apache-2.0
#include "dsr/core/error.hpp"

namespace dsr {

std::string problem(std::string_view what, std::string_view found, std::string_view allowed,
                    std::string_view nearest) {
  std::string text{"dsr"};
  auto append = [&text](std::string_view separator, std::string_view part) {
    if (part.empty()) return;
    text += separator;
    text += part;
  };
  append(": ", what);
  append(": ", found);
  append(", allowed ", allowed);
  append("; nearest ", nearest);
  return text;
}

}  // namespace dsr
