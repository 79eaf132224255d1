// SPDX-License-Identifier: Apache-2.0
#include "dsr/checkpoint/container.hpp"
#include "dsr/checkpoint/hash.hpp"
#include "dsr/checkpoint/manifest.hpp"

namespace dsr {

std::string content_hash(Manifest const& manifest) {
  std::string text =
      std::to_string(manifest.step) + " " + std::to_string(manifest.generation) + "\n";
  for (StoredFile const& file : manifest.files)
    if (file.name != kViewName) text += file.name + " " + file.hash + "\n";
  return hash_text(std::as_bytes(std::span{text}));
}

}  // namespace dsr
