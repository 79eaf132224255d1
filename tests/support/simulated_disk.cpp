// SPDX-License-Identifier: Apache-2.0
#include "support/simulated_disk.hpp"

#include <algorithm>
#include <cerrno>
#include <random>
#include <utility>

#include "libdsr/io/system.hpp"
#include "support/simulated_file.hpp"

namespace dsr::test {
namespace {

std::string_view action_of(Call call) {
  switch (call) {
    case Call::create:
    case Call::open:
    case Call::open_for_writing:
      return "open";
    case Call::make_directory:
      return "make the directory";
    case Call::sync_directory:
      return "sync the directory";
    case Call::rename:
      return "rename";
    case Call::link:
      return "link";
    case Call::remove_file:
      return "remove";
    case Call::remove_directory:
      return "remove the directory";
    case Call::list:
      return "list";
    case Call::free_bytes:
      return "ask for free space";
    default:
      return "look at";
  }
}

void check(int error, std::string const& path, Call call) {
  if (error != 0) detail::fail_io(path, action_of(call), error);
}

}  // namespace

Size DiskState::free_bytes() const {
  constexpr Size kTebibyte = Size{1} << 40U;
  if (options.capacity == 0) return kTebibyte;
  return std::max<Size>(0, options.capacity - tree.used_bytes());
}

SimulatedNode::SimulatedNode(std::shared_ptr<DiskState> state, int node)
    : state_(std::move(state)), node_(node) {}

void SimulatedNode::begin(Call call, std::string const& path) {
  int const error = state_->faults.next(call);
  if (error == EINTR && restarts(call)) return;
  if (error != 0 && call == Call::sync_directory) state_->tree.fail_sync(path, node_);
  check(error, path, call);
}

std::unique_ptr<File> SimulatedNode::open_as(std::string const& path, Call call) {
  std::scoped_lock const lock{state_->mutex};
  begin(call, path);
  int error = 0;
  if (call == Call::create) error = state_->tree.add(path, EntryKind::file, node_);
  check(error, path, call);
  InodePointer inode = state_->tree.find(path, error);
  if (inode && inode->kind == EntryKind::directory) error = EISDIR;
  check(error, path, call);
  Access const access = call == Call::open ? Access::read : Access::write;
  return std::make_unique<SimulatedFile>(state_, node_, path, std::move(inode), access);
}

std::unique_ptr<File> SimulatedNode::create(std::string const& path) {
  return open_as(path, Call::create);
}

std::unique_ptr<File> SimulatedNode::open(std::string const& path) {
  return open_as(path, Call::open);
}

std::unique_ptr<File> SimulatedNode::open_for_writing(std::string const& path) {
  return open_as(path, Call::open_for_writing);
}

bool SimulatedNode::make_directory(std::string const& path) {
  std::scoped_lock const lock{state_->mutex};
  begin(Call::make_directory, path);
  int const error = state_->tree.add(path, EntryKind::directory, node_);
  if (error == EEXIST || error == EBUSY) return false;
  check(error, path, Call::make_directory);
  return true;
}

void SimulatedNode::sync_directory(std::string const& path) {
  std::scoped_lock const lock{state_->mutex};
  begin(Call::sync_directory, path);
  check(state_->tree.sync(path, node_), path, Call::sync_directory);
}

void SimulatedNode::rename(std::string const& from, std::string const& to) {
  std::scoped_lock const lock{state_->mutex};
  begin(Call::rename, from);
  check(state_->tree.rename(from, to, node_), from, Call::rename);
}

void SimulatedNode::link(std::string const& from, std::string const& to) {
  std::scoped_lock const lock{state_->mutex};
  begin(Call::link, from);
  int error = 0;
  InodePointer inode = state_->tree.find(from, error);
  check(error, from, Call::link);
  check(state_->tree.add(to, EntryKind::file, node_, std::move(inode)), from, Call::link);
}

void SimulatedNode::remove_file(std::string const& path) {
  std::scoped_lock const lock{state_->mutex};
  begin(Call::remove_file, path);
  check(state_->tree.remove(path, EntryKind::file, node_), path, Call::remove_file);
}

void SimulatedNode::remove_directory(std::string const& path) {
  std::scoped_lock const lock{state_->mutex};
  begin(Call::remove_directory, path);
  check(state_->tree.remove(path, EntryKind::directory, node_), path, Call::remove_directory);
}

std::vector<DirectoryEntry> SimulatedNode::list(std::string const& path) {
  std::scoped_lock const lock{state_->mutex};
  begin(Call::list, path);
  int error = 0;
  InodePointer const directory = state_->tree.find(path, error);
  if (directory && directory->kind != EntryKind::directory) error = ENOTDIR;
  check(error, path, Call::list);
  std::vector<DirectoryEntry> entries;
  for (auto const& [name, inode] : directory->entries) entries.push_back({name, inode->kind});
  return entries;
}

bool SimulatedNode::exists(std::string const& path) {
  std::scoped_lock const lock{state_->mutex};
  begin(Call::exists, path);
  int error = 0;
  return state_->tree.find(path, error) != nullptr;
}

Size SimulatedNode::free_bytes(std::string const& path) {
  std::scoped_lock const lock{state_->mutex};
  begin(Call::free_bytes, path);
  int error = 0;
  state_->tree.find(path, error);
  check(error, path, Call::free_bytes);
  return state_->free_bytes();
}

SimulatedDisk::SimulatedDisk(DiskOptions const& options)
    : SimulatedNode(std::make_shared<DiskState>(options), 0) {}

FileSystem& SimulatedDisk::node(int number) {
  std::scoped_lock const lock{state().mutex};
  auto& node = nodes_[number];
  if (!node) node = std::make_unique<SimulatedNode>(shared(), number);
  return *node;
}

void SimulatedDisk::power_loss(std::uint64_t seed, std::optional<int> node) {
  std::scoped_lock const lock{state().mutex};
  std::mt19937_64 random{seed};
  state().tree.lose_power(random, node);
  state().faults.clear();
  for (auto& [number, boots] : state().boots)
    if (!node || *node == number) ++boots;
}

}  // namespace dsr::test
