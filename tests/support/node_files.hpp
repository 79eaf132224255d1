// SPDX-License-Identifier: Apache-2.0
#pragma once
/// NodeFiles: ranks of one machine pass for several nodes, each of which has a directory of its own
/// where all of them say the same path.
///
///     NodeFiles files{system_files(), root + "/hot", node};  // that path is root/hot1 on node 1
#include <string>

#include "dsr/io/file_system.hpp"

namespace dsr::test {

/// `files` lives longer. Thread-safe if it is.
class NodeFiles final : public FileSystem {
 public:
  NodeFiles(FileSystem& files, std::string local, int node)
      : files_(files), local_(std::move(local)), own_(local_ + std::to_string(node)) {}

  std::unique_ptr<File> create(std::string const& path) override { return files_.create(at(path)); }
  std::unique_ptr<File> open(std::string const& path) override { return files_.open(at(path)); }
  std::unique_ptr<File> open_for_writing(std::string const& path) override {
    return files_.open_for_writing(at(path));
  }
  bool make_directory(std::string const& path) override { return files_.make_directory(at(path)); }
  void sync_directory(std::string const& path) override { files_.sync_directory(at(path)); }
  void rename(std::string const& from, std::string const& to) override {
    files_.rename(at(from), at(to));
  }
  void link(std::string const& from, std::string const& to) override {
    files_.link(at(from), at(to));
  }
  void remove_file(std::string const& path) override { files_.remove_file(at(path)); }
  void remove_directory(std::string const& path) override { files_.remove_directory(at(path)); }
  std::vector<DirectoryEntry> list(std::string const& path) override {
    return files_.list(at(path));
  }
  bool exists(std::string const& path) override { return files_.exists(at(path)); }
  Size free_bytes(std::string const& path) override { return files_.free_bytes(at(path)); }

 private:
  std::string at(std::string const& path) const {
    return path.starts_with(local_) ? own_ + path.substr(local_.size()) : path;
  }

  FileSystem& files_;
  std::string local_, own_;
};

}  // namespace dsr::test
