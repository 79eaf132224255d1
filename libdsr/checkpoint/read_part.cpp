// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>

#include "dsr/checkpoint/rank_file.hpp"
#include "dsr/core/error.hpp"
#include "libdsr/checkpoint/box_runs.hpp"

namespace dsr {
namespace {

/// Reads the stored bytes of a slice from front to back. Short runs come out of a window of the
/// file: one read for many of them, though it passes over bytes that nobody asked for.
class SliceReader {
 public:
  SliceReader(FileSystem& files, std::string path, Slice const& slice)
      : path_(std::move(path)), file_(files.open(path_)), slice_(&slice) {}

  /// Bytes [begin, begin + to.size()) of the slice.
  void read(Size begin, std::span<std::byte> to) {
    if (std::ssize(to) >= kLong_bytes) return fetch(begin, to);
    Size const end = begin + std::ssize(to);
    if (begin < window_begin_ || end > window_begin_ + std::ssize(window_)) {
      window_.resize(static_cast<std::size_t>(std::min(kWindow_bytes, slice_->bytes - begin)));
      window_begin_ = begin;
      fetch(begin, window_);
    }
    std::memcpy(to.data(), window_.data() + (begin - window_begin_), to.size());
  }

  Slice const& slice() const { return *slice_; }
  std::string const& path() const { return path_; }

 private:
  static constexpr Size kLong_bytes = Size{1} << 18, kWindow_bytes = Size{1} << 20;

  void fetch(Size begin, std::span<std::byte> to) {
    if (file_->read_at(slice_->offset + begin, to) == std::ssize(to)) return;
    throw CorruptData(problem(path_, "it ends before byte " +
                                         std::to_string(slice_->offset + begin + std::ssize(to)),
                              "what the manifest says"));
  }

  std::string path_;
  std::unique_ptr<File> file_;
  Slice const* slice_;
  std::vector<std::byte> window_;
  Size window_begin_ = 0;
};

/// Whole chunks, decoded. The memory is kept from one to the next.
class ChunkReader {
 public:
  /// A chunk's elements, valid until the next one.
  std::span<std::byte const> read(SliceReader& reader, Size bytes, Size element_bytes) {
    Slice const& slice = reader.slice();
    // What parse_manifest refuses, for manifests that it has not seen.
    if (bytes > kChunkMost_bytes || slice.bytes > encoded_bound(bytes) || slice.bytes < 1) {
      throw CorruptData(problem(reader.path(), "a chunk of " + std::to_string(slice.bytes) +
                                                   " bytes for " + std::to_string(bytes),
                                "at most 4 MiB, compressed"));
    }
    encoded_.resize(static_cast<std::size_t>(slice.bytes));
    chunk_.resize(static_cast<std::size_t>(bytes));
    reader.read(0, encoded_);
    try {
      decoder_.decode(encoded_, element_bytes, chunk_);
    } catch (CorruptData const& error) {
      throw CorruptData(problem(reader.path() + " at byte " + std::to_string(slice.offset),
                                error.what(), "what the manifest says"));
    }
    return chunk_;
  }

 private:
  Decoder decoder_;
  std::vector<std::byte> encoded_, chunk_;
};

}  // namespace

void read_part(FileSystem& files, std::string const& directory, Manifest const& manifest,
               StoredTensor const& tensor, Box const& box, std::span<std::byte> bytes) {
  Size const size = size_of(tensor.dtype);
  if (std::ssize(bytes) != box.elements() * size) {
    throw InvalidArgument(problem("checkpoint: " + tensor.name,
                                  std::to_string(bytes.size()) + " bytes for " + to_string(box),
                                  std::to_string(box.elements() * size)));
  }
  if (box.empty()) return;
  Size found = 0;
  std::optional<ChunkReader> chunks;
  if (tensor.codec != Codec::none) chunks.emplace();
  for (Slice const& slice : tensor.slices) {
    auto const part = intersect(slice.box, box);
    if (!part || part->empty()) continue;
    StoredFile const& stored = manifest.files.at(static_cast<std::size_t>(slice.file));
    SliceReader reader{files, directory + "/" + stored.name, slice};
    auto const place = [&](Size to, Size elements) {
      return bytes.subspan(static_cast<std::size_t>(to * size),
                           static_cast<std::size_t>(elements * size));
    };
    if (!chunks) {
      detail::for_runs(*part, slice.box, box, [&](Size from, Size to, Size elements) {
        reader.read(from * size, place(to, elements));
      });
    } else {
      auto const chunk = chunks->read(reader, slice.box.elements() * size, size);
      detail::for_runs(*part, slice.box, box, [&](Size from, Size to, Size elements) {
        std::ranges::copy_n(chunk.begin() + from * size, elements * size,
                            place(to, elements).begin());
      });
    }
    found += part->elements();
  }
  if (found != box.elements()) {
    throw CorruptData(problem(directory + "/manifest.json: " + tensor.name,
                              std::to_string(found) + " of the elements of " + to_string(box),
                              std::to_string(box.elements())));
  }
}

}  // namespace dsr
