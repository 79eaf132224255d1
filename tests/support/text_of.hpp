// SPDX-License-Identifier: Apache-2.0
#pragma once
/// What tests ask about error messages.
#include <string>
#include <string_view>

namespace dsr::test {

/// The text of the error that a call throws; empty if it throws none of that type.
template <class Thrown, class Call>
std::string text_of(Call call) {
  try {
    call();
  } catch (Thrown const& error) {
    return error.what();
  }
  return {};
}

inline bool contains(std::string const& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace dsr::test
