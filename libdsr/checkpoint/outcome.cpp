// SPDX-License-Identifier: Apache-2.0
#include "libdsr/checkpoint/outcome.hpp"

#include <cerrno>

#include "dsr/comm/collectives.hpp"
#include "dsr/core/error.hpp"

namespace dsr::detail {

Outcome attempt(std::function<void()> const& work) {
  try {
    work();
    return {};
  } catch (CommError const&) {
    throw;
  } catch (IoError const& error) {
    bool const full = error.error_number() == ENOSPC || error.error_number() == EDQUOT;
    return {error.what(), full ? OutcomeKind::full : OutcomeKind::failed};
  } catch (CorruptData const& error) {
    return {error.what(), OutcomeKind::corrupt};
  } catch (std::exception const& error) {
    return {error.what(), OutcomeKind::failed};
  }
}

Outcome agreed(Outcome const& mine, Communicator& group) {
  std::string const text = mine.fine() ? std::string{} : static_cast<char>(mine.kind) + mine.text;
  for (std::string const& found : gather_texts(text, group)) {
    if (!found.empty()) return {found.substr(1), static_cast<OutcomeKind>(found.front())};
  }
  return {};
}

}  // namespace dsr::detail
