// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "dsr/checkpoint/cold_file.hpp"
#include "dsr/checkpoint/hash.hpp"
#include "dsr/core/error.hpp"

namespace dsr {

RankReport report_of(Manifest const& manifest, int file) {
  RankReport report{.file = manifest.files.at(static_cast<std::size_t>(file)), .tensors = {}};
  for (StoredTensor const& tensor : manifest.tensors) {
    StoredTensor part{tensor.name, tensor.shape, tensor.dtype, {}, tensor.codec};
    for (Slice slice : tensor.slices) {
      if (slice.file != file) continue;
      slice.file = 0;
      part.slices.push_back(slice);
    }
    if (!part.slices.empty()) report.tensors.push_back(std::move(part));
  }
  return report;
}

StoredPieces::StoredPieces(FileSystem& files, std::string const& directory, RankReport report,
                           ColdContent content)
    : stored_{std::move(report.file)}, path_{directory + "/" + stored_.name} {
  std::vector<std::pair<Size, HostPiece>> found;
  for (StoredTensor const& tensor : report.tensors) {
    if (content == ColdContent::weights && !tensor.name.starts_with(kWeightPrefix)) continue;
    if (tensor.codec != Codec::none) {
      throw InvalidArgument(problem(path_ + ": " + tensor.name,
                                    "codec " + std::string{name_of(tensor.codec)}, "none"));
    }
    for (Slice const& slice : tensor.slices)
      found.emplace_back(slice.offset,
                         HostPiece{tensor.name, tensor.shape, tensor.dtype, slice.box, {}});
  }
  std::ranges::sort(found, {}, [](auto const& entry) { return entry.first; });
  for (auto& [offset, piece] : found) {
    offsets_.push_back(offset);
    pieces_.push_back(std::move(piece));
  }
  file_ = files.open(path_);
}

std::span<std::byte const> StoredPieces::take(std::size_t piece, Size at, Size most) {
  std::lock_guard const lock{mutex_};
  if (abandoned_) throw Error(problem(path_, "it was abandoned", "a file in use"));
  Size const offset = offsets_.at(piece) + at;
  Block const block = read_block(offset / kHashBlock_bytes);
  Size const begin = offset % kHashBlock_bytes;
  if (begin >= std::ssize(*block))
    throw CorruptData(problem(path_, "it ends before byte " + std::to_string(offset + 1),
                              "what the manifest says"));
  taken_[{piece, at}] = block;
  return std::span{*block}.subspan(
      static_cast<std::size_t>(begin),
      static_cast<std::size_t>(std::min(most, std::ssize(*block) - begin)));
}

void StoredPieces::give_back(std::size_t piece, Size at, Size) {
  std::lock_guard const lock{mutex_};
  taken_.erase({piece, at});
}

void StoredPieces::abandon() noexcept {
  std::lock_guard const lock{mutex_};
  abandoned_ = true;
}

StoredPieces::Block StoredPieces::read_block(Size number) {
  if (number == last_number_) return last_;
  last_.reset();
  last_number_ = -1;
  Size const begin = number * kHashBlock_bytes;
  Size const bytes = std::min(kHashBlock_bytes, stored_.bytes - begin);
  std::string const name = path_ + " block " + std::to_string(number);
  if (bytes <= 0 || number >= std::ssize(stored_.blocks))
    throw CorruptData(problem(name, "behind the end", "a block of the file"));
  auto block = std::make_shared<std::vector<std::byte>>(static_cast<std::size_t>(bytes));
  if (file_->read_at(begin, *block) != bytes)
    throw CorruptData(problem(name, "cut off", std::to_string(bytes) + " bytes"));
  if (hash_text(*block) != stored_.blocks[static_cast<std::size_t>(number)])
    throw CorruptData(problem(name, "wrong hash", "what the manifest says"));
  last_ = std::move(block);
  last_number_ = number;
  return last_;
}

}  // namespace dsr
