// SPDX-License-Identifier: Apache-2.0
/// Headers of gradient fragments: any bytes, and the same with a hash that fits, as a hash stops no
/// stranger. What is accepted must be what writing gives.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "dsr/checkpoint/fragment_file.hpp"

namespace {

void read(std::string const& sector) {
  auto const header = dsr::parse_fragment_header(sector);
  if (header && dsr::to_text(*header) != sector) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  std::string sector{reinterpret_cast<char const*>(data), size};
  read(sector);
  sector.resize(static_cast<std::size_t>(dsr::kFragmentSector_bytes), '\0');
  read(sector);
  std::string body = sector.substr(0, sector.rfind("hash "));
  body += "hash " + dsr::hash_text(std::as_bytes(std::span{body})) + "\n";
  body.resize(sector.size(), '\0');
  read(body);
  return 0;
}
