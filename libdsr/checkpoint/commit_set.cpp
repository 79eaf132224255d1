// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "dsr/checkpoint/container.hpp"
#include "dsr/checkpoint/hashed_file.hpp"
#include "dsr/checkpoint/sets.hpp"
#include "dsr/core/error.hpp"
#include "libdsr/checkpoint/copy_file.hpp"

namespace dsr {
namespace {

constexpr char const* kDraftName = "manifest.tmp";

}  // namespace

void detail::copy_file(FileSystem& files, std::string const& from, std::string const& to,
                       StoredFile const& stored, RateLimit* limit) {
  std::string const path = from + "/" + stored.name;
  std::unique_ptr<File> const source = files.open(path);
  HashedFile copy{files, to, stored.name, stored.bytes, limit};
  std::vector<std::byte> memory(static_cast<std::size_t>(std::min(stored.bytes, kHashBlock_bytes)));
  for (Size at = 0; at < stored.bytes; at += kHashBlock_bytes) {
    auto const part = std::span{memory}.first(
        static_cast<std::size_t>(std::min(kHashBlock_bytes, stored.bytes - at)));
    Size const got = source->read_at(at, part);
    if (got != static_cast<Size>(part.size())) {
      throw CorruptData(
          problem(path, std::to_string(at + got) + " bytes", std::to_string(stored.bytes)));
    }
    copy.write(at, part);
  }
  require_hashes(copy.finish(), stored, path);
}

void detail::require_hashes(StoredFile const& copy, StoredFile const& stored,
                            std::string const& path) {
  for (std::size_t block = 0; block < stored.blocks.size(); ++block) {
    if (copy.blocks[block] == stored.blocks[block]) continue;
    throw CorruptData(
        problem(path, "a wrong hash of block " + std::to_string(block), stored.blocks[block]));
  }
}

void write_durably(FileSystem& files, std::string const& path, std::string_view content) {
  std::unique_ptr<File> const file = files.create(path);
  file->write_at(0, std::as_bytes(std::span{content}));
  file->sync_data();
  file->close();
}

void commit_manifest(FileSystem& files, std::string const& directory, Manifest const& manifest) {
  commit_manifest_text(files, directory, to_text(manifest));
}

void commit_manifest_text(FileSystem& files, std::string const& directory, std::string_view text) {
  std::string const draft = directory + "/" + kDraftName;
  write_durably(files, draft, text);
  files.rename(draft, directory + "/" + kManifestName);
  files.sync_directory(directory);
}

void rewrite_view(FileSystem& files, std::string const& directory, Manifest const& manifest) {
  StoredFile const view = write_view(files, directory, manifest);
  files.sync_directory(directory);
  Manifest changed = manifest;
  auto const listed = std::ranges::find(changed.files, view.name, &StoredFile::name);
  if (listed == changed.files.end() || listed->hash == view.hash) return;
  *listed = view;
  std::string const draft = directory + "/" + kDraftName;
  if (files.exists(draft)) files.remove_file(draft);  // of a call that died
  commit_manifest(files, directory, changed);
}

std::string copy_set(FileSystem& files, std::string const& directory, Manifest const& manifest,
                     std::string const& tier) {
  make_directories(files, tier);
  std::string const copy = tier + "/" + to_string(SetName{manifest.step, manifest.generation});
  if (!files.make_directory(copy))
    throw IoError(problem(copy, "something is there already", "a new set"));
  files.sync_directory(tier);
  for (StoredFile const& stored : manifest.files) detail::copy_file(files, directory, copy, stored);
  // A view that the manifest does not list is not copied but made from the manifest again.
  bool const has_view = files.exists(directory + "/" + kViewName);
  bool const listed = std::ranges::any_of(
      manifest.files, [](StoredFile const& file) { return file.name == kViewName; });
  if (has_view && !listed) write_view(files, copy, manifest);
  std::vector<Fault> const faults = verify_set(files, copy, manifest);
  if (!faults.empty())
    throw CorruptData(problem(copy, to_string(faults.front(), manifest), "what was written"));
  files.sync_directory(copy);
  commit_manifest(files, copy, manifest);
  return copy;
}

}  // namespace dsr
