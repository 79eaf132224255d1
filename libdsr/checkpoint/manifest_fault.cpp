// SPDX-License-Identifier: Apache-2.0
#include "libdsr/checkpoint/manifest_fault.hpp"

#include <algorithm>
#include <cmath>
#include <set>
#include <string_view>

#include "dsr/checkpoint/hash.hpp"
#include "libdsr/checkpoint/tiling.hpp"

namespace dsr {

bool plain_name(std::string_view name) {
  auto const plain = [](char letter) {
    return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
           (letter >= '0' && letter <= '9') || letter == '.' || letter == '_' || letter == '-';
  };
  return !name.empty() && name.size() <= 255 && name[0] != '.' && std::ranges::all_of(name, plain);
}

bool tensor_name(std::string_view name) {
  auto const printable = [](char letter) { return letter >= ' ' && letter <= '~'; };
  if (name.size() > 1024 || !std::ranges::all_of(name, printable)) return false;
  for (std::size_t begin = 0; begin <= name.size();) {
    std::size_t const end = std::min(name.find('/', begin), name.size());
    std::string_view const part = name.substr(begin, end - begin);
    if (part.empty() || part == "." || part == "..") return false;
    begin = end + 1;
  }
  return true;
}

namespace detail {
namespace {

constexpr Size kMostBytes = Size{1} << 60;  // sums of sizes stay below the largest Size

/// As strings are ordered, but with '/' before all else: what is below a name comes right after it.
struct PathOrder {
  bool operator()(std::string_view a, std::string_view b) const {
    auto const rank = [](char letter) { return letter == '/' ? '\0' : letter; };
    return std::ranges::lexicographical_compare(a, b, {}, rank, rank);
  }
};
using Names = std::set<std::string_view, PathOrder>;

std::string fault(std::string_view key, std::string_view found, std::string_view allowed) {
  return std::string{key} + ": " + std::string{found} + ", allowed " + std::string{allowed};
}

bool is_hash(std::string_view text) {
  return text.size() == 32 && std::ranges::all_of(text, [](char digit) {
           return (digit >= '0' && digit <= '9') || (digit >= 'a' && digit <= 'f');
         });
}

std::string fault_of_head(Manifest const& manifest) {
  if (manifest.step < 0 || manifest.step > kMostSteps) {
    return fault("step", std::to_string(manifest.step), "0 to " + std::to_string(kMostSteps));
  }
  if (manifest.generation < 0 || manifest.generation > kMostGenerations) {
    return fault("generation", std::to_string(manifest.generation),
                 "0 to " + std::to_string(kMostGenerations));
  }
  if (!manifest.run_id.empty() && !plain_name(manifest.run_id)) {
    return fault("run_id", in_quotes(manifest.run_id), "a plain name or nothing");
  }
  if (!std::isfinite(manifest.saved_unix) || manifest.saved_unix < 0) {
    return fault("saved_unix", std::to_string(manifest.saved_unix), "seconds since 1970");
  }
  return {};
}

std::string fault_of_file(StoredFile const& file, std::string const& key, Names& names) {
  // A set's own files: a manifest that lists itself could never fit its hash.
  if (!plain_name(file.name) || file.name.starts_with("manifest.")) {
    return fault(key + ".name", in_quotes(file.name), "a plain name");
  }
  if (!names.insert(file.name).second) {
    return fault(key + ".name", in_quotes(file.name) + " again", "each once");
  }
  if (file.bytes < 0 || file.bytes > kMostBytes) {
    return fault(key + ".bytes", std::to_string(file.bytes), "0 to 2^60");
  }
  Size const blocks = ceil_div(file.bytes, kHashBlock_bytes);
  if (std::ssize(file.blocks) != blocks) {
    return fault(key + ".blocks", std::to_string(file.blocks.size()), std::to_string(blocks));
  }
  auto const odd = std::ranges::find_if_not(file.blocks, is_hash);
  if (odd != file.blocks.end()) {
    return fault(key + ".blocks[" + std::to_string(odd - file.blocks.begin()) + "]",
                 in_quotes(*odd), "32 hex digits");
  }
  std::string const hash = file_hash(file.blocks);
  return file.hash == hash ? ""
                           : fault(key + ".hash", in_quotes(file.hash), hash + ", of its blocks");
}

/// Bytes of a shape's elements; -1 beyond kMostBytes.
Size bytes_of(Shape const& shape, DType dtype) {
  Size bytes = size_of(dtype);
  for (Size const size : shape) {
    if (size == 0) return 0;
  }
  for (Size const size : shape) {
    if (size > kMostBytes / bytes) return -1;
    bytes *= size;
  }
  return bytes;
}

/// What is read needs no more memory than a chunk, and what is stored is no longer than its
/// elements could become.
std::string fault_of_size(Slice const& slice, StoredTensor const& tensor, std::string const& key) {
  Size const plain = bytes_of(slice.box.count, tensor.dtype);
  if (tensor.codec == Codec::none) {
    return slice.bytes == plain
               ? ""
               : fault(key + ".bytes", std::to_string(slice.bytes), std::to_string(plain));
  }
  if (plain > kChunkMost_bytes) {
    return fault(key + ".count", std::to_string(plain) + " bytes",
                 std::to_string(kChunkMost_bytes) + ", as it is compressed");
  }
  Size const most = encoded_bound(plain);
  if (slice.bytes >= 1 && slice.bytes <= most) return {};
  return fault(key + ".bytes", std::to_string(slice.bytes),
               "1 to " + std::to_string(most) + ", of compressed " + std::to_string(plain));
}

std::string fault_of_slice(Slice const& slice, StoredTensor const& tensor,
                           std::vector<StoredFile> const& files, std::string const& key) {
  if (slice.file < 0 || slice.file >= std::ssize(files)) {
    return fault(key + ".file", std::to_string(slice.file),
                 "below " + std::to_string(files.size()));
  }
  int const rank = tensor.shape.rank();
  if (slice.box.begin.rank() != rank || slice.box.count.rank() != rank) {
    return fault(key, to_string(slice.box), std::to_string(rank) + " dimensions");
  }
  for (int dim = 0; dim < rank; ++dim) {
    Size const begin = slice.box.begin[dim], count = slice.box.count[dim];
    if (count < 1 || count > tensor.shape[dim] || begin > tensor.shape[dim] - count) {
      return fault(key, to_string(slice.box), "elements of " + to_string(tensor.shape));
    }
  }
  std::string const size = fault_of_size(slice, tensor, key);
  if (!size.empty()) return size;
  Size const end = files[static_cast<std::size_t>(slice.file)].bytes;
  if (slice.offset < 0 || slice.bytes > end || slice.offset > end - slice.bytes) {
    return fault(key + ".offset", std::to_string(slice.offset),
                 "0 to " + std::to_string(end - slice.bytes) + ", within its file");
  }
  return {};
}

std::string fault_of_tensor(StoredTensor const& tensor, std::vector<StoredFile> const& files,
                            std::string const& key, Names& names) {
  if (!tensor_name(tensor.name)) {
    return fault(key + ".name", in_quotes(tensor.name), "printable parts divided by single '/'");
  }
  if (!names.insert(tensor.name).second) {
    return fault(key + ".name", in_quotes(tensor.name) + " again", "each once");
  }
  if (bytes_of(tensor.shape, tensor.dtype) < 0) {
    return fault(key + ".shape", to_string(tensor.shape), "at most 2^60 bytes");
  }
  std::vector<Box> boxes;
  for (std::size_t i = 0; i < tensor.slices.size(); ++i) {
    std::string const slice_key = key + ".slices[" + std::to_string(i) + "]";
    std::string found = fault_of_slice(tensor.slices[i], tensor, files, slice_key);
    if (!found.empty()) return found;
    boxes.push_back(tensor.slices[i].box);
  }
  if (tiles(tensor.shape, boxes)) return {};
  return fault(key + ".slices", "elements of " + in_quotes(tensor.name) + " missing or twice",
               "each once");
}

/// Two slices that share bytes: no writer makes them, and a reader would believe both.
std::string fault_of_bytes(Manifest const& manifest) {
  struct Range {
    int file = 0;
    Size begin = 0, end = 0;
    StoredTensor const* tensor = nullptr;
  };
  std::vector<Range> ranges;
  for (StoredTensor const& tensor : manifest.tensors) {
    for (Slice const& slice : tensor.slices) {
      ranges.push_back({slice.file, slice.offset, slice.offset + slice.bytes, &tensor});
    }
  }
  std::ranges::sort(ranges, [](Range const& a, Range const& b) {
    return a.file != b.file ? a.file < b.file : a.begin < b.begin;
  });
  auto const shared = std::ranges::adjacent_find(
      ranges, [](Range const& a, Range const& b) { return a.file == b.file && b.begin < a.end; });
  if (shared == ranges.end()) return {};
  return fault("tensors",
               in_quotes(shared->tensor->name) + " and " +
                   in_quotes(std::next(shared)->tensor->name) + " share bytes",
               "bytes of their own");
}

/// A tensor is a dataset of the view, and so not a group of others.
std::string fault_of_names(Names const& names) {
  auto const above = std::ranges::adjacent_find(names, [](auto const& name, auto const& next) {
    return next.starts_with(name) && next[name.size()] == '/';
  });
  if (above == names.end()) return {};
  return fault("tensors", in_quotes(*above) + " is above " + in_quotes(*std::next(above)),
               "tensors with none above them");
}

}  // namespace

std::string in_quotes(std::string_view text) {
  constexpr std::size_t kMost = 80;
  std::string result{'"'};
  result += text.substr(0, kMost);
  return result += text.size() > kMost ? "…\"" : "\"";
}

std::string fault_of(Manifest const& manifest) {
  std::string found = fault_of_head(manifest);
  Names file_names, tensor_names;
  for (std::size_t i = 0; i < manifest.files.size() && found.empty(); ++i) {
    found = fault_of_file(manifest.files[i], "files[" + std::to_string(i) + "]", file_names);
  }
  for (std::size_t i = 0; i < manifest.tensors.size() && found.empty(); ++i) {
    found = fault_of_tensor(manifest.tensors[i], manifest.files,
                            "tensors[" + std::to_string(i) + "]", tensor_names);
  }
  if (found.empty()) found = fault_of_names(tensor_names);
  return found.empty() ? fault_of_bytes(manifest) : found;
}

}  // namespace detail
}  // namespace dsr
