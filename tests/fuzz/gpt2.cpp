// SPDX-License-Identifier: Apache-2.0
/// A downloaded model's directory: config.json, index and one file of tensors, divided by lines of
/// "----". Import commits a whole set, or says what is wrong and leaves no set.
#include "dsr/checkpoint/gpt2.hpp"

#include <array>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "dsr/checkpoint/sets.hpp"
#include "dsr/core/error.hpp"
#include "support/simulated_disk.hpp"

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  constexpr std::string_view kDivider = "\n----\n";
  constexpr std::array<char const*, 3> kFiles{"/m/config.json", "/m/model.safetensors.index.json",
                                              "/m/model.safetensors"};
  dsr::test::SimulatedDisk disk;
  disk.make_directory("/m");
  std::string_view rest{reinterpret_cast<char const*>(data), size};
  for (char const* const path : kFiles) {
    std::size_t const end = std::min(rest.find(kDivider), rest.size());
    std::string_view const part = rest.substr(0, end);
    if (!part.empty()) disk.create(path)->write_at(0, std::as_bytes(std::span{part}));
    rest.remove_prefix(std::min(rest.size(), end + kDivider.size()));
  }
  try {
    dsr::Imported const imported = dsr::import_gpt2(disk, "/m", "/tier");
    dsr::Manifest const manifest = dsr::read_manifest(disk, imported.directory);
    if (!dsr::verify_set(disk, imported.directory, manifest).empty()) std::abort();
  } catch (dsr::Error const&) {
    if (disk.exists("/tier") && !dsr::find_sets(disk, "/tier").empty()) std::abort();
  }
  return 0;
}
