// SPDX-License-Identifier: Apache-2.0
#include "libdsr/optim/step_counts.hpp"

#include <charconv>
#include <string_view>

#include "dsr/core/error.hpp"

namespace dsr::detail {
namespace {

/// The number behind the first `key`; zero if there is none.
Size number_after(std::string_view text, std::string_view key) {
  std::size_t const at = text.find(key);
  Size number = 0;
  if (at == std::string_view::npos) return number;
  text.remove_prefix(at + key.size());
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

}  // namespace

std::string to_text(StepCounts const& counts) {
  return "applied=" + std::to_string(counts.applied) + " skipped=" + std::to_string(counts.skipped);
}

StepCounts parse_step_counts(std::string const& text) {
  StepCounts const counts{number_after(text, "applied="), number_after(text, "skipped=")};
  // What was read must write the same text again: strict without a case for each mistake.
  if (to_text(counts) != text || counts.applied < 0 || counts.skipped < 0) {
    throw CorruptData(
        problem("optimizer step", "\"" + text + "\"", "\"" + to_text({}) + "\" with its numbers"));
  }
  return counts;
}

}  // namespace dsr::detail
