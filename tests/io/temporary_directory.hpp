// SPDX-License-Identifier: Apache-2.0
#pragma once
/// A directory of its own for a test case, removed with all that is in it.
#include <stdlib.h>  // mkdtemp is POSIX, not in <cstdlib>

#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>

namespace dsr::test {

class TemporaryDirectory {
 public:
  explicit TemporaryDirectory(
      std::filesystem::path const& parent = std::filesystem::temp_directory_path()) {
    std::string name = (parent / "dsr_test_XXXXXX").string();  // mkdtemp replaces the six letters
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp failed: " + name);
    path_ = name;
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(TemporaryDirectory const&) = delete;
  TemporaryDirectory& operator=(TemporaryDirectory const&) = delete;

  std::string operator/(std::string_view name) const { return path_ + "/" + std::string{name}; }
  std::string const& path() const { return path_; }
  /// Writes a file, independently of the io room; returns its path.
  std::string write(std::string_view name, std::string_view content) const {
    std::string const path = *this / name;
    std::ofstream(path, std::ios::binary)
        .write(content.data(), static_cast<std::streamsize>(content.size()));
    return path;
  }

 private:
  std::string path_;
};

/// A file's content, independently of the io room.
inline std::string slurp(std::string const& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

/// What an expression's exception says; empty if it throws no E.
template <class E, class F>
std::string message_of(F&& call) {
  try {
    call();
  } catch (E const& error) {
    return error.what();
  }
  return {};
}

inline bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

}  // namespace dsr::test
