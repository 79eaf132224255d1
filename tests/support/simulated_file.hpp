// SPDX-License-Identifier: Apache-2.0
#pragma once
/// An open file of a SimulatedDisk.
#include <memory>
#include <string>

#include "support/simulated_disk.hpp"

namespace dsr::test {

enum class Access : unsigned char { read, write };

class SimulatedFile final : public File {
 public:
  /// The caller holds the state's mutex.
  SimulatedFile(std::shared_ptr<DiskState> state, int node, std::string path, InodePointer inode,
                Access access);

  void write_at(Size offset, std::span<std::byte const> bytes) override;
  Size read_at(Size offset, std::span<std::byte> bytes) override;
  void allocate(Size bytes) override;
  Size size() override;
  void sync_data() override;
  void close() override;

 private:
  int begin(Call call, std::string_view action, Access needed);
  Size largest(Size bytes) const;
  long write_some(Size offset, std::span<std::byte const> bytes);

  std::shared_ptr<DiskState> state_;
  std::string path_;
  InodePointer inode_;  // none after close()
  Access access_;
  int node_, boot_;
};

}  // namespace dsr::test
