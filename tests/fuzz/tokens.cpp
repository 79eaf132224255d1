// SPDX-License-Identifier: Apache-2.0
/// Token files, as nanoGPT's and as text: any bytes. Every token is in the vocabulary, and there
/// are as many as the size says.
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <vector>

#include "dsr/core/error.hpp"
#include "dsr/data/token_source.hpp"

namespace {

void read(std::string const& path, dsr::TokenFormat format, std::size_t size) {
  try {
    dsr::Tokens const tokens = dsr::open_tokens(path, format);
    auto const per_token = std::size_t{format == dsr::TokenFormat::text ? 1U : 2U};
    if (static_cast<std::size_t>(tokens->size()) * per_token != size) std::abort();
    std::vector<std::int32_t> all(static_cast<std::size_t>(tokens->size()));
    tokens->read(0, all);
    for (std::int32_t const token : all) {
      if (token < 0 || token >= tokens->vocabulary()) std::abort();
    }
  } catch (dsr::CorruptData const&) {
    return;  // the one error that bytes may cause
  }
}

/// One name for the whole process: files of tokens are mapped, so they must be on a disk.
std::string file_path() {
  auto const folder = std::filesystem::temp_directory_path();
  return (folder / ("dsr_fuzz_tokens_" + std::to_string(::getpid()))).string();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  std::string const path = file_path();
  std::FILE* const file = std::fopen(path.c_str(), "wb");
  if (file == nullptr || std::fwrite(data, 1, size, file) != size || std::fclose(file) != 0)
    std::abort();
  read(path, dsr::TokenFormat::text, size);
  read(path, dsr::TokenFormat::nanogpt, size);
  std::filesystem::remove(path);
  return 0;
}
