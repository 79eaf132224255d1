// SPDX-License-Identifier: Apache-2.0
#include "libdsr/data/cursor_text.hpp"

#include <fmt/format.h>

#include <charconv>
#include <string_view>

#include "dsr/core/error.hpp"

namespace dsr::detail {
namespace {

/// Takes "name=number" and the space after it off the front; zero if it is not there.
template <class T>
T take_number(std::string_view& text, std::string_view name) {
  T value{};
  if (!text.starts_with(name) || text.substr(name.size(), 1) != "=") return value;
  text.remove_prefix(name.size() + 1);
  auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  if (text.starts_with(' ')) text.remove_prefix(1);
  return error == std::errc{} ? value : T{};
}

}  // namespace

std::string to_text(SavedCursor const& saved) {
  return fmt::format("epoch={} index={} sequences={} sequence={} seed={} order={}",
                     saved.cursor.epoch, saved.cursor.index, saved.sequences, saved.sequence,
                     saved.seed, saved.order == DataOrder::shuffled ? "shuffled" : "sequential");
}

SavedCursor parse_cursor(std::string const& text) {
  std::string_view rest{text};
  SavedCursor saved;
  saved.cursor.epoch = take_number<Size>(rest, "epoch");
  saved.cursor.index = take_number<Size>(rest, "index");
  saved.sequences = take_number<Size>(rest, "sequences");
  saved.sequence = take_number<Size>(rest, "sequence");
  saved.seed = take_number<std::uint64_t>(rest, "seed");
  saved.order = rest == "order=sequential" ? DataOrder::sequential : DataOrder::shuffled;
  // Strict without a case for each mistake: what was read must write the same text again.
  if (to_text(saved) != text) {
    throw CorruptData(
        problem("data cursor", "\"" + text + "\"", "\"" + to_text({}) + "\" with its numbers"));
  }
  return saved;
}

}  // namespace dsr::detail
