// SPDX-License-Identifier: Apache-2.0
/// The two pages that are made from a KeyTable: --help and Markdown.
#include <fmt/format.h>

#include <algorithm>

#include "dsr/config/key_table.hpp"
#include "libdsr/config/assign.hpp"

namespace dsr {
namespace {

struct Row {
  std::string section, word, type, unit, fallback, help;
};

std::vector<Row> rows_of(KeyTable const& table) {
  std::vector<Row> rows;
  for (Key const& key : table.keys()) {
    std::size_t const dot = key.name.rfind('.');
    bool const bare = dot == key.name.npos;
    rows.push_back(
        {.section = bare ? std::string{} : key.name.substr(0, dot),
         .word = bare ? key.name : key.name.substr(dot + 1),
         .type = detail::allowed_values(key),
         .unit = key.options.unit,
         .fallback = key.options.presence == Presence::required ? "required" : key.fallback,
         .help = key.options.help});
  }
  return rows;
}

/// Sections in the order in which their first keys were added.
std::vector<std::string> sections_of(std::vector<Row> const& rows) {
  std::vector<std::string> sections;
  for (Row const& row : rows) {
    if (std::find(sections.begin(), sections.end(), row.section) == sections.end()) {
      sections.push_back(row.section);
    }
  }
  return sections;
}

/// Characters that a terminal shows; bytes that go on a UTF-8 character take no place.
std::size_t width_of(std::string const& text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
  }));
}

std::string padded(std::string const& text, std::size_t width) {
  return text + std::string(width - std::min(width, width_of(text)), ' ');
}

std::string cell(std::string const& text) {
  std::string out;
  for (char const c : text) {
    if (c == '|') out += '\\';
    out += c;
  }
  return out;
}

}  // namespace

std::string help_text(KeyTable const& table) {
  std::vector<Row> const rows = rows_of(table);
  std::size_t word = 0, fallback = 0, type = 0;
  auto const type_of = [](Row const& row) {
    return row.unit.empty() ? row.type : fmt::format("{} ({})", row.type, row.unit);
  };
  for (Row const& row : rows) {
    word = std::max(word, width_of(row.word));
    fallback = std::max(fallback, width_of(row.fallback));
    type = std::max(type, width_of(type_of(row)));
  }
  std::string text;
  for (std::string const& section : sections_of(rows)) {
    if (!text.empty()) text += '\n';
    if (!section.empty()) text += fmt::format("[{}]\n", section);
    for (Row const& row : rows) {
      if (row.section != section) continue;
      text += fmt::format("  {} = {}  {}  {}\n", padded(row.word, word),
                          padded(row.fallback, fallback), padded(type_of(row), type), row.help);
    }
  }
  return text;
}

std::string markdown(KeyTable const& table) {
  std::vector<Row> const rows = rows_of(table);
  std::string text;
  for (std::string const& section : sections_of(rows)) {
    if (!text.empty()) text += '\n';
    if (!section.empty()) text += fmt::format("## `[{}]`\n\n", section);
    text += "| key | default | values | unit | meaning |\n|---|---|---|---|---|\n";
    for (Row const& row : rows) {
      if (row.section != section) continue;
      std::string const fallback =
          row.fallback == "required" ? row.fallback : fmt::format("`{}`", cell(row.fallback));
      text += fmt::format("| `{}` | {} | {} | {} | {} |\n", row.word, fallback, cell(row.type),
                          cell(row.unit), cell(row.help));
    }
  }
  return text;
}

}  // namespace dsr
