// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>
#include <memory>

#include "dsr/checkpoint/rank_file.hpp"
#include "dsr/core/error.hpp"

namespace dsr {
namespace {

/// Elements from one index to the next in each dimension of a row-major block.
std::vector<Size> strides_of(Shape const& block) {
  std::vector<Size> strides(static_cast<std::size_t>(block.rank()), 1);
  for (int d = block.rank() - 2; d >= 0; --d) {
    auto const i = static_cast<std::size_t>(d);
    strides[i] = strides[i + 1] * block[d + 1];
  }
  return strides;
}

/// Where `index` lies in a row-major block that begins at `begin`, in elements.
Size offset_in(std::vector<Size> const& strides, Shape const& begin, std::vector<Size> const& index) {
  Size offset = 0;
  for (std::size_t d = 0; d < index.size(); ++d)
    offset += (index[d] - begin[static_cast<int>(d)]) * strides[d];
  return offset;
}

/// How many trailing dimensions of `part` are whole in both blocks: elements over them, and over one
/// more dimension, follow each other in both.
int whole_dimensions(Shape const& part, Shape const& a, Shape const& b) {
  int whole = 0;
  for (int d = part.rank() - 1; d >= 0 && part[d] == a[d] && part[d] == b[d]; --d) ++whole;
  return whole;
}

/// Calls f(offset in `from`, offset in `to`, elements) for the runs of `part` that are contiguous in
/// both blocks.
template <class F>
void for_runs(Box const& part, Box const& from, Box const& to, F&& f) {
  int const rank = part.count.rank();
  int const whole = whole_dimensions(part.count, from.count, to.count);
  int const outer = std::max(0, rank - whole - 1);  // dimensions to step through
  Size run = 1;
  for (int d = outer; d < rank; ++d) run *= part.count[d];
  std::vector<Size> const from_strides = strides_of(from.count), to_strides = strides_of(to.count);
  std::vector<Size> index(part.begin.begin(), part.begin.end());
  for (;;) {
    f(offset_in(from_strides, from.begin, index), offset_in(to_strides, to.begin, index), run);
    int d = outer - 1;
    for (; d >= 0; --d) {
      auto const i = static_cast<std::size_t>(d);
      if (++index[i] < part.begin[d] + part.count[d]) break;
      index[i] = part.begin[d];
    }
    if (d < 0) return;
  }
}

/// Reads a slice from front to back. Short runs come out of a window of the file: one read for many
/// of them, though it passes over bytes that nobody asked for.
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
  for (Slice const& slice : tensor.slices) {
    auto const part = intersect(slice.box, box);
    if (!part || part->empty()) continue;
    StoredFile const& stored = manifest.files.at(static_cast<std::size_t>(slice.file));
    SliceReader reader{files, directory + "/" + stored.name, slice};
    for_runs(*part, slice.box, box, [&](Size from, Size to, Size elements) {
      reader.read(from * size, bytes.subspan(static_cast<std::size_t>(to * size),
                                             static_cast<std::size_t>(elements * size)));
    });
    found += part->elements();
  }
  if (found != box.elements()) {
    throw CorruptData(problem(directory + "/manifest.json: " + tensor.name,
                              std::to_string(found) + " of the elements of " + to_string(box),
                              std::to_string(box.elements())));
  }
}

}  // namespace dsr
