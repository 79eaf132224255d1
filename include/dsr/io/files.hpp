// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Small file calls: read a text, append lines, make directories. All file calls of the library are
/// in this room.
///
///     std::string text = read_text("examples/tiny.toml");
///     FileWriter log{"run/metrics.jsonl"};
///     log.line(R"({"step": 1})");
#include <string>
#include <string_view>

namespace dsr {

/// The whole file. Throws IoError with the path and the system's reason.
std::string read_text(std::string const& path);

/// Whether something is there under this name; false too where the system does not let one look.
bool file_exists(std::string const& path);

/// Makes a directory and its parents; one that exists is fine. Throws IoError.
void make_directories(std::string const& path);

/// Makes the directory if it is missing, then really creates and removes a file in it. Throws
/// IoError.
void require_writable_directory(std::string const& path);

enum class FileStart : unsigned char { append, empty };

/// Moves, does not copy: it owns an open file. One host thread uses it.
class FileWriter {
 public:
  /// Opens for appending, or cut to nothing first; makes parent directories. Throws IoError.
  explicit FileWriter(std::string path, FileStart start = FileStart::append);
  ~FileWriter();
  FileWriter(FileWriter&& other) noexcept;
  FileWriter& operator=(FileWriter&& other) noexcept;
  FileWriter(FileWriter const&) = delete;
  FileWriter& operator=(FileWriter const&) = delete;

  /// Appends text and a newline with one write(2), so that readers and a crash see whole lines.
  /// Throws IoError.
  void line(std::string_view text);
  std::string const& path() const { return path_; }

 private:
  std::string path_;
  int descriptor_ = -1;
};

}  // namespace dsr
