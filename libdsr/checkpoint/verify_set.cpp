// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "dsr/checkpoint/hash.hpp"
#include "dsr/checkpoint/sets.hpp"
#include "dsr/core/error.hpp"

namespace dsr {
namespace {

constexpr int kMostNames = 3;

/// Names of the tensors that have bytes in [begin, end) of a file.
std::string tensors_in(Manifest const& manifest, std::size_t file, Size begin, Size end) {
  std::string names;
  int found = 0;
  for (StoredTensor const& tensor : manifest.tensors) {
    bool const touches = std::ranges::any_of(tensor.slices, [&](Slice const& slice) {
      return static_cast<std::size_t>(slice.file) == file && slice.offset < end &&
             slice.offset + slice.bytes > begin;
    });
    if (!touches) continue;
    if (++found > kMostNames) return names + ", …";
    names += (names.empty() ? "" : ", ") + tensor.name;
  }
  return names;
}

Size block_end(StoredFile const& file, Size block) {
  return std::min(file.bytes, (block + 1) * kHashBlock_bytes);
}

/// Reads a file's blocks, or a share of them; each that is wrong becomes a fault. `number` counts
/// blocks over all files.
void check_blocks(File& file, Manifest const& manifest, std::size_t index, BlockShare share,
                  Size number, std::vector<std::byte>& memory, std::vector<Fault>& faults) {
  StoredFile const& stored = manifest.files[index];
  for (std::size_t block = 0; block < stored.blocks.size(); ++block) {
    if (number++ % share.readers != share.reader) continue;
    Size const begin = static_cast<Size>(block) * kHashBlock_bytes;
    Size const end = block_end(stored, static_cast<Size>(block));
    memory.resize(static_cast<std::size_t>(end - begin));
    std::string reason;
    try {
      if (file.read_at(begin, memory) != end - begin)
        reason = "cut off";
      else if (hash_text(memory) != stored.blocks[block])
        reason = "wrong hash";
    } catch (IoError const& error) {
      reason = error.what();
    }
    if (!reason.empty()) {
      faults.push_back(
          {stored.name, static_cast<Size>(block), tensors_in(manifest, index, begin, end), reason});
    }
  }
}

void check_file(FileSystem& files, std::string const& directory, Manifest const& manifest,
                std::size_t index, BlockShare share, Size first, std::vector<std::byte>& memory,
                std::vector<Fault>& faults) {
  StoredFile const& stored = manifest.files[index];
  std::string const path = directory + "/" + stored.name;
  auto const whole = [&](std::string reason) {
    faults.push_back(
        {stored.name, -1, tensors_in(manifest, index, 0, stored.bytes), std::move(reason)});
  };
  try {
    if (!files.exists(path)) return whole("missing");
    std::unique_ptr<File> const file = files.open(path);
    Size const bytes = file->size();
    if (bytes != stored.bytes) {
      return whole("has " + std::to_string(bytes) + " bytes instead of " +
                   std::to_string(stored.bytes));
    }
    check_blocks(*file, manifest, index, share, first, memory, faults);
  } catch (IoError const& error) {
    whole(error.what());
  }
}

}  // namespace

std::vector<Fault> verify_set(FileSystem& files, std::string const& directory,
                              Manifest const& manifest, BlockShare share) {
  std::vector<Fault> faults;
  std::vector<std::byte> memory;
  Size blocks = 0;
  for (std::size_t i = 0; i < manifest.files.size(); ++i) {
    check_file(files, directory, manifest, i, share, blocks, memory, faults);
    blocks += std::ssize(manifest.files[i].blocks);
  }
  return faults;
}

std::string to_string(Fault const& fault, Manifest const& manifest) {
  if (fault.block < 0) return fault.file + " " + fault.reason;
  auto const stored = std::ranges::find(manifest.files, fault.file, &StoredFile::name);
  Size const begin = fault.block * kHashBlock_bytes;
  Size const end =
      stored == manifest.files.end() ? begin + kHashBlock_bytes : block_end(*stored, fault.block);
  std::string text = fault.file + " block " + std::to_string(fault.block) + " (bytes " +
                     std::to_string(begin) + "-" + std::to_string(end - 1) + ")";
  if (!fault.tensor.empty()) text += ": " + fault.tensor;
  if (fault.reason != "wrong hash") text += ": " + fault.reason;
  return text;
}

}  // namespace dsr
