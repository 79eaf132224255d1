// SPDX-License-Identifier: Apache-2.0
#pragma once
/// A File of the operating system's.
#include <string>

#include "dsr/io/file_system.hpp"

namespace dsr::detail {

class SystemFile final : public File {
 public:
  /// `flags` as open(2) takes them. Throws IoError, also for what is not a regular file.
  SystemFile(std::string path, int flags);
  ~SystemFile() override;

  void write_at(Size offset, std::span<std::byte const> bytes) override;
  Size read_at(Size offset, std::span<std::byte> bytes) override;
  void allocate(Size bytes) override;
  Size size() override;
  void sync_data() override;
  void close() override;

 private:
  std::string path_;
  int descriptor_ = -1;
};

}  // namespace dsr::detail
