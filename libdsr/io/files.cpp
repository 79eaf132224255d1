// SPDX-License-Identifier: Apache-2.0
#include "dsr/io/files.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "dsr/core/error.hpp"
#include "libdsr/io/system.hpp"

namespace dsr {
namespace {

/// Usually one write(2). More only where the system took a part, as a nearly full disk does.
void write_all(int descriptor, std::string_view text, std::string const& path) {
  while (!text.empty()) {
    ssize_t const written = ::write(descriptor, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) detail::fail_io(path, "write", errno);
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

}  // namespace

std::string read_text(std::string const& path) {
  detail::OpenFile const file{path, O_RDONLY};
  std::string text;
  std::string chunk(1U << 16U, '\0');
  for (;;) {  // until the end, not until fstat's size: a pipe or a file below /proc has none
    ssize_t const count = ::read(file.descriptor(), chunk.data(), chunk.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) detail::fail_io(path, "read", errno);
    if (count == 0) return text;
    text.append(chunk, 0, static_cast<std::size_t>(count));
  }
}

bool file_exists(std::string const& path) {
  std::error_code error;
  return std::filesystem::exists(path, error);
}

void make_directories(std::string const& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) detail::fail_io(path, "make the directory", error.value());
  if (!std::filesystem::is_directory(path, error))
    detail::fail_io(path, "make the directory", ENOTDIR);
}

void require_writable_directory(std::string const& path) {
  make_directories(path);
  // The process number keeps ranks that probe one shared directory apart.
  std::string const probe = path + "/.dsr_probe_" + std::to_string(::getpid());
  detail::OpenFile const file{probe, O_WRONLY | O_CREAT};
  auto const remove = [&] { return ::unlink(probe.c_str()); };
  try {
    write_all(file.descriptor(), "probe\n", probe);
  } catch (IoError const&) {
    remove();
    throw;
  }
  if (remove() != 0) detail::fail_io(probe, "remove", errno);
}

FileWriter::FileWriter(std::string path, FileStart start) : path_(std::move(path)) {
  std::string const parent = std::filesystem::path(path_).parent_path().string();
  if (!parent.empty()) make_directories(parent);
  int const flags = O_WRONLY | O_CREAT | O_APPEND | (start == FileStart::empty ? O_TRUNC : 0);
  descriptor_ = detail::OpenFile{path_, flags}.release();
}

FileWriter::~FileWriter() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

FileWriter::FileWriter(FileWriter&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)) {}

FileWriter& FileWriter::operator=(FileWriter&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

void FileWriter::line(std::string_view text) {
  std::string whole{text};
  whole += '\n';
  write_all(descriptor_, whole, path_);
}

}  // namespace dsr
