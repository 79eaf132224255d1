// SPDX-License-Identifier: Apache-2.0
#pragma once
/// SimulatedTree: the directories of a SimulatedDisk, with what a power loss may undo.
///
/// Every change of entries is an operation that is kept or lost as a whole. It is durable when all
/// the directories that it changed were synced; of the others any may be lost, in any choice. If
/// journals are by node, a sync makes durable only what its own node did, as on a shared file
/// system whose clients write their changes themselves.
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dsr/io/file_system.hpp"
#include "support/simulated_content.hpp"

namespace dsr::test {

enum class Journal : std::uint8_t { of_disk, by_node };

struct Inode {
  explicit Inode(EntryKind of_kind) : kind(of_kind) {}
  EntryKind kind;
  SimulatedContent content;
  int writer = 0;  // the node that wrote last
  std::map<std::string, std::shared_ptr<Inode>> entries, durable_entries;
};
using InodePointer = std::shared_ptr<Inode>;

/// Errors are numbers of errno; 0 is success. Not thread-safe.
class SimulatedTree {
 public:
  explicit SimulatedTree(Journal journal);

  /// Nothing, with the reason in `error`, if there is none.
  InodePointer find(std::string const& path, int& error) const;
  /// A new entry for a new inode of this kind, or for `inode`.
  int add(std::string const& path, EntryKind kind, int node, InodePointer inode = {});
  int remove(std::string const& path, EntryKind kind, int node);
  int rename(std::string const& from, std::string const& to, int node);
  int sync(std::string const& path, int node);
  /// The sync failed: what it would have made durable stays in doubt.
  void fail_sync(std::string const& path, int node);
  /// Of one node, or of all.
  void lose_power(std::mt19937_64& random, std::optional<int> node);
  Size used_bytes() const;

 private:
  struct Change {
    InodePointer directory;
    std::string name;
    InodePointer inode;  // none: the entry goes
    bool durable = false;
  };
  struct Operation {
    int node;
    std::vector<Change> changes;
    bool in_doubt = false;
    bool durable() const;
  };
  struct Place {
    InodePointer directory;
    std::string name;
  };

  int place_of(std::string const& path, Place& place) const;
  void record(int node, std::vector<Change> changes);
  void fold();
  bool covers(Operation const& operation, int node) const;

  Journal journal_;
  InodePointer root_;
  std::vector<std::weak_ptr<Inode>> inodes_;
  std::vector<Operation> log_;  // oldest first; from the first that is not durable
};

}  // namespace dsr::test
