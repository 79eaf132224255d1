// SPDX-License-Identifier: Apache-2.0
#include "dsr/checkpoint/fragment_file.hpp"

#include <algorithm>
#include <cstdio>
#include <tuple>
#include <utility>

#include "dsr/core/error.hpp"

namespace dsr {
namespace {

constexpr Size kHash_bytes = 32;

Size table_bytes(Size bytes) { return ceil_div(bytes, kHashBlock_bytes) * kHash_bytes; }

/// header | hashes of blocks, digits one after the other | payload; each begins at a sector.
struct SlotLayout {
  Size table = kFragmentSector_bytes, payload = 0, end = 0;
};

SlotLayout layout_of(Size bytes) {
  SlotLayout layout;
  layout.payload = layout.table + round_up(table_bytes(bytes), kFragmentSector_bytes);
  layout.end = layout.payload + round_up(bytes, kFragmentSector_bytes);
  return layout;
}

std::span<std::byte const> bytes_of(std::string const& text) {
  return std::as_bytes(std::span{text});
}

/// Fills `text`; false if the file ends earlier.
bool fill_text(File& file, Size offset, std::string& text) {
  return file.read_at(offset, std::as_writable_bytes(std::span{text})) == std::ssize(text);
}

}  // namespace

FragmentFile::FragmentFile(FileSystem& files, std::string directory, int rank, Size bytes)
    : files_{&files}, directory_{std::move(directory)}, rank_{rank}, bytes_{bytes} {}

std::string FragmentFile::path(std::size_t slot) const {
  char name[32];
  std::snprintf(name, sizeof name, "/rank_%05d.%zu", rank_, slot);
  return directory_ + name;
}

std::optional<FragmentHeader> FragmentFile::header_of(std::size_t slot) {
  try {
    if (!files_->exists(path(slot))) return std::nullopt;
    std::unique_ptr<File> const file = files_->open(path(slot));
    std::string sector(static_cast<std::size_t>(kFragmentSector_bytes), '\0');
    if (!fill_text(*file, 0, sector)) return std::nullopt;
    auto header = parse_fragment_header(sector);
    if (header && file->size() != layout_of(header->bytes).end) return std::nullopt;
    return header;
  } catch (Error const&) {
    return std::nullopt;
  }
}

std::vector<FragmentHeader> FragmentFile::claimed() {
  std::vector<FragmentHeader> found;
  for (std::size_t slot = 0; slot < open_.size(); ++slot) {
    if (auto header = header_of(slot)) found.push_back(std::move(*header));
  }
  std::ranges::sort(found, {}, [](FragmentHeader const& header) {
    return std::tuple{header.step, header.generation, header.micro_batches};
  });
  return found;
}

bool FragmentFile::read(FragmentHeader const& header, std::span<std::byte> payload) {
  require_size(payload.size());
  if (header.bytes != bytes_) return false;
  for (std::size_t slot = 0; slot < open_.size(); ++slot) {
    if (header_of(slot) != header) continue;
    try {
      if (!read_slot(slot, header, payload)) continue;
      next_ = 1 - slot;
      return true;
    } catch (Error const&) {
      continue;
    }
  }
  return false;
}

bool FragmentFile::read_slot(std::size_t slot, FragmentHeader const& header,
                             std::span<std::byte> payload) {
  std::unique_ptr<File> const file = files_->open(path(slot));
  SlotLayout const layout = layout_of(bytes_);
  std::string table(static_cast<std::size_t>(table_bytes(bytes_)), '\0');
  if (!fill_text(*file, layout.table, table)) return false;
  if (hash_text(bytes_of(table)) != header.payload) return false;
  std::string_view expected = table;
  for (Size at = 0; at < bytes_; at += kHashBlock_bytes) {
    auto const count = static_cast<std::size_t>(std::min(kHashBlock_bytes, bytes_ - at));
    std::span<std::byte> const block = payload.subspan(static_cast<std::size_t>(at), count);
    if (file->read_at(layout.payload + at, block) != std::ssize(block)) return false;
    if (hash_text(block) != expected.substr(0, kHash_bytes)) return false;
    expected.remove_prefix(kHash_bytes);
  }
  return true;
}

void FragmentFile::prepare() {
  if (open_[0] != nullptr) return;
  make_directories(*files_, directory_);
  std::array<std::unique_ptr<File>, 2> ready;
  for (std::size_t slot = 0; slot < ready.size(); ++slot) {
    if (files_->exists(path(slot))) {
      ready[slot] = files_->open_for_writing(path(slot));
      if (ready[slot]->size() == layout_of(bytes_).end) continue;
      ready[slot] = nullptr;  // of another mesh or model
      files_->remove_file(path(slot));
    }
    ready[slot] = files_->create(path(slot));
    ready[slot]->allocate(layout_of(bytes_).end);
  }
  files_->sync_directory(directory_);
  open_ = std::move(ready);
}

void FragmentFile::write(FragmentHeader header, std::span<std::byte const> payload) {
  require_size(payload.size());
  prepare();
  File& file = *open_[next_];
  SlotLayout const layout = layout_of(bytes_);
  BlockHasher hasher;
  for (Size at = 0; at < bytes_; at += kHashBlock_bytes) {
    auto const count = static_cast<std::size_t>(std::min(kHashBlock_bytes, bytes_ - at));
    std::span<std::byte const> const block = payload.subspan(static_cast<std::size_t>(at), count);
    hasher.add(block);
    file.write_at(layout.payload + at, block);
  }
  std::vector<std::string> const blocks = hasher.finish();
  std::string table;
  for (std::string const& block : blocks) table += block;
  header.bytes = bytes_;
  header.payload = file_hash(blocks);
  std::string const sector = to_text(header);
  file.write_at(layout.table, bytes_of(table));
  // A header that is there never speaks of a payload that is still on its way.
  file.sync_data();
  file.write_at(0, bytes_of(sector));
  file.sync_data();
  next_ = 1 - next_;
}

void FragmentFile::require_size(std::size_t found) const {
  if (static_cast<Size>(found) == bytes_) return;
  throw InvalidArgument(
      problem("gradient fragment", std::to_string(found) + " bytes", std::to_string(bytes_)));
}

}  // namespace dsr
