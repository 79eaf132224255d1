// SPDX-License-Identifier: Apache-2.0
// Replaces a file in a directory, with system_files(): what system_calls_test.py traces.
// system_calls DIRECTORY
#include <cstdio>
#include <span>
#include <string>

#include "dsr/core/error.hpp"
#include "dsr/io/file_system.hpp"

namespace {

void replace(std::string const& directory) {
  dsr::FileSystem& files = dsr::system_files();
  std::string const at = directory + "/sub";
  make_directories(files, at);
  std::string const text = "0123456789";
  auto const file = files.create(at + "/note.tmp");
  file->allocate(std::ssize(text));
  file->write_at(0, std::as_bytes(std::span{text}));
  file->allocate(4);  // less than there is
  file->sync_data();
  file->close();
  files.rename(at + "/note.tmp", at + "/note");
  files.sync_directory(at);
  std::puts(read_text(files, at + "/note", 100).c_str());
}

}  // namespace

int main(int, char** arguments) {
  try {
    replace(arguments[1]);
  } catch (dsr::Error const& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return error.exit_code();
  }
  return 0;
}
