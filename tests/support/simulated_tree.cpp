// SPDX-License-Identifier: Apache-2.0
#include "support/simulated_tree.hpp"

#include <algorithm>
#include <cerrno>
#include <sstream>
#include <utility>

namespace dsr::test {
namespace {

using Entries = std::map<std::string, InodePointer>;

std::vector<std::string> parts_of(std::string const& path) {
  std::vector<std::string> parts;
  std::istringstream stream{path};
  for (std::string part; std::getline(stream, part, '/');)
    if (!part.empty() && part != ".") parts.push_back(part);
  return parts;
}

void apply(std::string const& name, InodePointer const& inode, Entries& entries) {
  if (inode)
    entries[name] = inode;
  else
    entries.erase(name);
}

InodePointer entry(Entries const& entries, std::string const& name) {
  auto const found = entries.find(name);
  return found == entries.end() ? nullptr : found->second;
}

int no_entry_or(int error) { return error == 0 ? ENOENT : error; }

/// Whether something of kind `moved` may take the place of `there`.
int replaceable(EntryKind moved, InodePointer const& there) {
  if (!there) return 0;
  bool const directory = there->kind == EntryKind::directory;
  if (moved != EntryKind::directory) return directory ? EISDIR : 0;
  if (!directory) return ENOTDIR;
  return there->entries.empty() ? 0 : ENOTEMPTY;
}

bool holds(InodePointer const& directory, InodePointer const& searched) {
  if (directory == searched) return true;
  return std::ranges::any_of(directory->entries,
                             [&](auto const& entry) { return holds(entry.second, searched); });
}

}  // namespace

bool SimulatedTree::Operation::durable() const {
  return std::ranges::all_of(changes, &Change::durable);
}

SimulatedTree::SimulatedTree(Journal journal)
    : journal_(journal), root_(std::make_shared<Inode>(EntryKind::directory)) {
  inodes_.push_back(root_);
}

InodePointer SimulatedTree::find(std::string const& path, int& error) const {
  error = ENOENT;
  if (path.empty()) return nullptr;
  InodePointer here = root_;
  for (std::string const& part : parts_of(path)) {
    if (here->kind != EntryKind::directory) {
      error = ENOTDIR;
      return nullptr;
    }
    here = entry(here->entries, part);
    if (!here) return nullptr;
  }
  error = 0;
  return here;
}

int SimulatedTree::place_of(std::string const& path, Place& place) const {
  std::vector<std::string> const parts = parts_of(path);
  if (parts.empty()) return path.empty() ? ENOENT : EBUSY;  // the root itself
  int error = 0;
  place.name = parts.back();
  place.directory = find(parent_directory(path), error);
  if (!place.directory) return no_entry_or(error);
  return place.directory->kind == EntryKind::directory ? 0 : ENOTDIR;
}

void SimulatedTree::record(int node, std::vector<Change> changes) {
  for (Change const& change : changes) apply(change.name, change.inode, change.directory->entries);
  log_.push_back({node, std::move(changes)});
}

int SimulatedTree::add(std::string const& path, EntryKind kind, int node, InodePointer inode) {
  Place place;
  if (int const error = place_of(path, place)) return error;
  if (entry(place.directory->entries, place.name)) return EEXIST;
  if (inode && inode->kind == EntryKind::directory) return EPERM;  // one name only
  if (!inode) {
    inode = std::make_shared<Inode>(kind);
    inodes_.push_back(inode);
  }
  record(node, {{place.directory, place.name, std::move(inode)}});
  return 0;
}

int SimulatedTree::remove(std::string const& path, EntryKind kind, int node) {
  Place place;
  if (int const error = place_of(path, place)) return error;
  InodePointer const inode = entry(place.directory->entries, place.name);
  if (!inode) return ENOENT;
  if (inode->kind != kind) return kind == EntryKind::directory ? ENOTDIR : EISDIR;
  if (!inode->entries.empty()) return ENOTEMPTY;
  record(node, {{place.directory, place.name, nullptr}});
  return 0;
}

int SimulatedTree::rename(std::string const& from, std::string const& to, int node) {
  Place source;
  Place target;
  if (int const error = place_of(from, source)) return error;
  if (int const error = place_of(to, target)) return error;
  InodePointer const inode = entry(source.directory->entries, source.name);
  if (!inode) return ENOENT;
  InodePointer const there = entry(target.directory->entries, target.name);
  if (holds(inode, target.directory)) return EINVAL;
  if (there && holds(there, source.directory)) return ENOTEMPTY;
  if (there == inode) return 0;
  if (int const error = replaceable(inode->kind, there)) return error;
  record(node, {{source.directory, source.name, nullptr}, {target.directory, target.name, inode}});
  return 0;
}

bool SimulatedTree::covers(Operation const& operation, int node) const {
  return !operation.in_doubt && (journal_ == Journal::of_disk || operation.node == node);
}

int SimulatedTree::sync(std::string const& path, int node) {
  int error = 0;
  InodePointer const directory = find(path, error);
  if (!directory) return error;
  if (directory->kind != EntryKind::directory) return ENOTDIR;
  for (Operation& operation : log_)
    for (Change& change : operation.changes)
      if (change.directory == directory && covers(operation, node)) change.durable = true;
  fold();
  return 0;
}

void SimulatedTree::fail_sync(std::string const& path, int node) {
  int error = 0;
  InodePointer const directory = find(path, error);
  for (Operation& operation : log_)
    for (Change const& change : operation.changes)
      if (change.directory == directory && !change.durable && covers(operation, node))
        operation.in_doubt = true;
}

void SimulatedTree::fold() {
  auto const open = std::ranges::find_if_not(log_, &Operation::durable);
  for (auto operation = log_.begin(); operation != open; ++operation)
    for (Change const& change : operation->changes)
      apply(change.name, change.inode, change.directory->durable_entries);
  log_.erase(log_.begin(), open);
}

void SimulatedTree::lose_power(std::mt19937_64& random, std::optional<int> node) {
  auto const affected = [&](int of) { return !node || *node == of; };
  auto const mood = random() % 4;
  std::erase_if(log_, [&](Operation& operation) {
    if (operation.durable() || !affected(operation.node)) return false;
    bool const kept = mood == 1 || (mood != 0 && random() % 2 == 0);
    for (Change& change : operation.changes) change.durable = kept;
    return !kept;
  });
  fold();
  for (auto const& weak : inodes_) {
    InodePointer const inode = weak.lock();
    if (!inode) continue;  // it went with the entries of another
    if (affected(inode->writer)) inode->content.lose_power(random);
    inode->entries = inode->durable_entries;
  }
  for (Operation const& operation : log_)
    for (Change const& change : operation.changes)
      apply(change.name, change.inode, change.directory->entries);
  std::erase_if(inodes_, [](auto const& inode) { return inode.expired(); });
}

Size SimulatedTree::used_bytes() const {
  Size total = 0;
  for (auto const& weak : inodes_)
    if (InodePointer const inode = weak.lock()) total += inode->content.size();
  return total;
}

}  // namespace dsr::test
