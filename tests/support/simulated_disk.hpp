// SPDX-License-Identifier: Apache-2.0
#pragma once
/// SimulatedDisk: a disk in memory that can lose power, for tests of what survives.
///
///     SimulatedDisk disk;
///     save(disk);                       // code that takes a FileSystem&
///     disk.power_loss(seed);            // every seed may leave another state
///     load(disk);
///
///     disk.faults().fail_at(n, EIO, Lasting::persistent);   // the power fails at the n-th call
///
/// What was not synced is dropped, reordered or torn: see SimulatedContent for a file's bytes and
/// SimulatedTree for names. Power loss closes the files: their later calls fail. There are no
/// symbolic links and no permissions.
#include <map>
#include <memory>
#include <mutex>
#include <optional>

#include "dsr/io/file_system.hpp"
#include "support/faults.hpp"
#include "support/simulated_tree.hpp"

namespace dsr::test {

struct DiskOptions {
  Journal journal = Journal::of_disk;
  Size capacity = 0;          // bytes; 0 = a TiB
  Size largest_transfer = 0;  // one write or read moves at most as many bytes; 0 = all
};

/// What all nodes of a disk share. Whoever uses it holds the mutex.
struct DiskState {
  explicit DiskState(DiskOptions const& disk_options)
      : options(disk_options), tree(disk_options.journal) {}
  Size free_bytes() const;

  std::mutex mutex;
  DiskOptions options;
  SimulatedTree tree;
  Faults faults;
  std::map<int, int> boots;  // of each node that opened a file: how often it lost power since
};

/// The disk as one node sees it. Thread-safe.
class SimulatedNode : public FileSystem {
 public:
  SimulatedNode(std::shared_ptr<DiskState> state, int node);

  std::unique_ptr<File> create(std::string const& path) override;
  std::unique_ptr<File> open(std::string const& path) override;
  std::unique_ptr<File> open_for_writing(std::string const& path) override;
  bool make_directory(std::string const& path) override;
  void sync_directory(std::string const& path) override;
  void rename(std::string const& from, std::string const& to) override;
  void link(std::string const& from, std::string const& to) override;
  void remove_file(std::string const& path) override;
  void remove_directory(std::string const& path) override;
  std::vector<DirectoryEntry> list(std::string const& path) override;
  bool exists(std::string const& path) override;
  Size free_bytes(std::string const& path) override;

 protected:
  DiskState& state() { return *state_; }
  std::shared_ptr<DiskState> const& shared() const { return state_; }

 private:
  void begin(Call call, std::string const& path);
  std::unique_ptr<File> open_as(std::string const& path, Call call);

  std::shared_ptr<DiskState> state_;
  int node_;
};

/// The disk, seen from node 0.
class SimulatedDisk final : public SimulatedNode {
 public:
  explicit SimulatedDisk(DiskOptions const& options = {});

  /// The same disk seen from another node; lives as long as this object.
  FileSystem& node(int number);
  /// Of the calls of all nodes. A failed write writes half, a failed sync or close leaves in doubt
  /// what it was about, any other failed call does nothing.
  Faults& faults() { return state().faults; }
  /// Calls of all nodes so far.
  Size operations() { return state().faults.calls(); }

  /// Of one node, or of all; also ends the planned faults.
  void power_loss(std::uint64_t seed, std::optional<int> node = {});

 private:
  std::map<int, std::unique_ptr<SimulatedNode>> nodes_;
};

}  // namespace dsr::test
