// SPDX-License-Identifier: Apache-2.0
#include "support/simulated_content.hpp"

#include <algorithm>
#include <map>

namespace dsr::test {
namespace {

void copy_part(std::span<std::byte const> from, Size from_offset, std::vector<std::byte>& to,
               Size first, Size last) {
  auto const count = static_cast<std::size_t>(last - first);
  auto const part = from.subspan(static_cast<std::size_t>(first - from_offset), count);
  std::ranges::copy(part, to.begin() + first);
}

}  // namespace

void SimulatedContent::write(Size offset, std::span<std::byte const> bytes) {
  if (bytes.empty()) return;
  grow(offset + std::ssize(bytes));
  std::ranges::copy(bytes, bytes_.begin() + offset);
  writes_.push_back({offset, {bytes.begin(), bytes.end()}});
}

void SimulatedContent::grow(Size size) {
  if (size > std::ssize(bytes_)) bytes_.resize(static_cast<std::size_t>(size));
}

void SimulatedContent::sync() {
  durable_size_ = size();
  bool doubtful = false;
  for (Write& write : writes_) {
    if (write.fate == Fate::waiting) write.fate = Fate::durable;
    doubtful = doubtful || write.fate == Fate::in_doubt;
  }
  if (doubtful) return;
  durable_ = bytes_;
  writes_.clear();
}

void SimulatedContent::fail_sync() {
  for (Write& write : writes_)
    if (write.fate == Fate::waiting) write.fate = Fate::in_doubt;
}

void SimulatedContent::lose_power(std::mt19937_64& random) {
  // A sector's versions are what it held after each of the writes that touched it, oldest first; a
  // durable write rules out the versions before it.
  struct Versions {
    std::vector<Write const*> writes;
    std::size_t oldest = 0;
  };
  std::map<Size, Versions> sectors;
  for (Write const& write : writes_) {
    for (Size s = write.offset / kSector_bytes; s * kSector_bytes < write.end(); ++s) {
      Versions& versions = sectors[s];
      versions.writes.push_back(&write);
      if (write.fate == Fate::durable) versions.oldest = versions.writes.size();
    }
  }
  auto const mood = random() % 4;  // losing everything and losing nothing must be frequent too
  Size size_now = durable_size_;
  durable_.resize(bytes_.size());
  for (auto const& [sector, versions] : sectors) {
    std::size_t const newest = versions.writes.size();
    std::size_t kept = versions.oldest + random() % (newest - versions.oldest + 1);
    if (mood == 0) kept = versions.oldest;
    if (mood == 1) kept = newest;
    for (std::size_t v = 0; v < kept; ++v) {
      Write const& write = *versions.writes[v];
      Size const first = std::max(write.offset, sector * kSector_bytes);
      Size const last = std::min(write.end(), (sector + 1) * kSector_bytes);
      copy_part(write.bytes, write.offset, durable_, first, last);
      size_now = std::max(size_now, last);
    }
  }
  if (mood == 1 || random() % 2 == 0) size_now = size();
  durable_.resize(static_cast<std::size_t>(size_now));
  durable_size_ = size_now;
  bytes_ = durable_;
  writes_.clear();
}

}  // namespace dsr::test
