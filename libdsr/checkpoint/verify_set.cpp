// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "dsr/checkpoint/hash.hpp"
#include "dsr/checkpoint/sets.hpp"
#include "libdsr/checkpoint/fault_names.hpp"
#include "libdsr/checkpoint/verified_reader.hpp"

namespace dsr {
namespace {

constexpr int kMostNames = 3;

}  // namespace

std::string detail::tensors_in(Manifest const& manifest, std::size_t file, Size begin, Size end) {
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

Size detail::block_end(StoredFile const& file, Size block) {
  return std::min(file.bytes, (block + 1) * kHashBlock_bytes);
}

std::vector<Fault> verify_set(FileSystem& files, std::string const& directory,
                              Manifest const& manifest, BlockShare share) {
  return detail::VerifiedReader{files, directory, manifest, {}, share}.verify();
}

std::string to_string(Fault const& fault, Manifest const& manifest) {
  if (fault.block < 0) return fault.file + " " + fault.reason;
  auto const stored = std::ranges::find(manifest.files, fault.file, &StoredFile::name);
  Size const begin = fault.block * kHashBlock_bytes;
  Size const end = stored == manifest.files.end() ? begin + kHashBlock_bytes
                                                  : detail::block_end(*stored, fault.block);
  std::string text = fault.file + " block " + std::to_string(fault.block) + " (bytes " +
                     std::to_string(begin) + "-" + std::to_string(end - 1) + ")";
  if (!fault.tensor.empty()) text += ": " + fault.tensor;
  if (fault.reason != "wrong hash") text += ": " + fault.reason;
  return text;
}

}  // namespace dsr
