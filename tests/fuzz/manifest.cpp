// SPDX-License-Identifier: Apache-2.0
/// Manifests: any text, and the same with a hash that fits, as a hash stops no stranger. What is
/// accepted must survive writing and reading.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "checkpoint/manifest_text.hpp"
#include "dsr/checkpoint/manifest.hpp"
#include "dsr/core/error.hpp"

namespace {

void read(std::string const& text) {
  try {
    std::string const again = dsr::to_text(dsr::parse_manifest(text, "fuzz"));
    if (dsr::to_text(dsr::parse_manifest(again, "fuzz")) != again) std::abort();
  } catch (dsr::CorruptData const&) {
    return;  // the one error that a text may cause
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  std::string const text{reinterpret_cast<char const*>(data), size};
  read(text);
  read(dsr::test::sealed(dsr::test::body_of(text)));
  return 0;
}
