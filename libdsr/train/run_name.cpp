// SPDX-License-Identifier: Apache-2.0
#include "libdsr/train/run_name.hpp"

#include <algorithm>
#include <filesystem>
#include <span>

#include "dsr/checkpoint/hash.hpp"

namespace dsr::detail {

std::string run_name(std::string const& directory) {
  constexpr std::size_t kLongest = 64, kDigits = 8;
  std::error_code error;  // the path as it was given does as well
  std::filesystem::path path = std::filesystem::weakly_canonical(directory, error);
  if (error) path = directory;
  if (!path.has_filename()) path = path.parent_path();
  std::string const whole = path.string();
  std::string name = path.filename().string().substr(0, kLongest);
  for (char& c : name) {
    bool const plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (!plain && c != '_' && c != '-') c = '_';
  }
  std::string const hash = hash_text(std::as_bytes(std::span{whole}));
  return (name.empty() ? "run" : name) + "." + hash.substr(0, kDigits);
}

}  // namespace dsr::detail
