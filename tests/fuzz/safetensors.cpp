// SPDX-License-Identifier: Apache-2.0
/// safetensors files: any bytes. What is accepted covers its data once, and can be read whole.
#include "dsr/checkpoint/safetensors.hpp"

#include <cstdint>
#include <cstdlib>

#include "dsr/core/error.hpp"
#include "support/simulated_disk.hpp"

namespace {

void read(dsr::FileSystem& files, dsr::Size size) {
  dsr::Size const begin = [&] {
    auto const header = dsr::read_safetensors_header(files, "/m/model.safetensors");
    return header.tensors.empty() ? size : header.tensors.front().offset;
  }();
  dsr::SafetensorsModel const model{files, "/m"};
  dsr::Size bytes = 0;
  for (auto const& [name, place] : model.tensors()) {
    if (place.entry.offset < 8 || place.entry.offset + place.entry.bytes > size) std::abort();
    bytes += place.entry.bytes;
    try {
      auto const count = static_cast<dsr::Size>(model.read_f32(name).size());
      if (count != place.entry.shape.elements()) std::abort();
    } catch (dsr::InvalidArgument const&) {  // a type without numbers of ours
      continue;
    }
  }
  if (begin + bytes != size) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  dsr::test::SimulatedDisk disk;
  disk.make_directory("/m");
  disk.create("/m/model.safetensors")->write_at(0, std::as_bytes(std::span{data, size}));
  try {
    read(disk, static_cast<dsr::Size>(size));
  } catch (dsr::CorruptData const&) {
    return 0;  // the one error that bytes may cause
  }
  return 0;
}
