// SPDX-License-Identifier: Apache-2.0
#include "libdsr/checkpoint/hdf5_layout.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "libdsr/checkpoint/hdf5_driver.hpp"

namespace dsr::detail {
namespace {

/// A chunk of metadata beyond this does not double.
constexpr Size kMostChunk_bytes = Size{256} << 10;

}  // namespace

void SparseBytes::write(Size offset, std::byte const* bytes, Size count) {
  if (count <= 0) return;
  Size const end = offset + count;
  // All runs that overlap or touch [offset, end) become one, in the place of the first.
  auto run = runs_.upper_bound(offset);
  if (run != runs_.begin()) {
    auto const before = std::prev(run);
    if (before->first + std::ssize(before->second) >= offset) run = before;
  }
  if (run == runs_.end() || run->first > offset) {
    run = runs_.emplace_hint(run, offset, std::vector<std::byte>{});
  }
  auto& content = run->second;
  Size const begin = run->first;
  if (begin + std::ssize(content) < end) content.resize(static_cast<std::size_t>(end - begin));
  for (auto next = std::next(run); next != runs_.end() && next->first <= end;) {
    Size const next_end = next->first + std::ssize(next->second);
    if (next_end > end) {
      content.insert(content.end(), next->second.end() - (next_end - end), next->second.end());
    }
    next = runs_.erase(next);
  }
  std::copy_n(bytes, count, content.begin() + (offset - begin));
}

void SparseBytes::read(Size offset, std::byte* bytes, Size count) const {
  std::fill_n(bytes, count, std::byte{0});
  auto run = runs_.upper_bound(offset);
  if (run != runs_.begin()) --run;
  for (; run != runs_.end() && run->first < offset + count; ++run) {
    Size const first = std::max(offset, run->first);
    Size const last = std::min(offset + count, run->first + std::ssize(run->second));
    if (first >= last) continue;
    std::copy_n(run->second.begin() + (first - run->first), last - first, bytes + (first - offset));
  }
}

Size SparseBytes::end() const {
  return runs_.empty() ? 0 : runs_.rbegin()->first + std::ssize(runs_.rbegin()->second);
}

std::vector<Container::Piece> SparseBytes::take() {
  std::vector<Container::Piece> pieces;
  for (auto& [offset, bytes] : runs_) pieces.push_back({offset, std::move(bytes)});
  runs_.clear();
  return pieces;
}

Size MemoryFile::reserve_payload(Size bytes) {
  payload_begin = payload_next = end;
  end = payload_end = end + bytes;
  return payload_begin;
}

Size MemoryFile::allocate_payload(Size bytes) {
  if (payload_end > 0) {
    if (bytes > payload_end - payload_next) return -1;
    return std::exchange(payload_next, payload_next + bytes);
  }
  Size const offset = round_up(end, kPayloadAlignment_bytes);
  end = offset + bytes;
  return offset;
}

Size MemoryFile::allocate_metadata(Size bytes) {
  if (bytes > chunk_end - next) {
    next = end;
    end = chunk_end = next + std::max(bytes, chunk_bytes);
    chunk_bytes = std::min(2 * chunk_bytes, kMostChunk_bytes);
  }
  return std::exchange(next, next + bytes);
}

Hdf5Layout::Hdf5Layout(H5F_libver_t newest) {
  driver_ = std::make_unique<Hdf5Id>(register_memory_driver(), release_memory_driver, "driver");
  Hdf5Id const access{H5Pcreate(H5P_FILE_ACCESS), H5Pclose, "file access"};
  MemoryFile* const memory = &memory_;
  require_hdf5(H5Pset_driver(access, *driver_, &memory), "driver");
  require_hdf5(H5Pset_libver_bounds(access, H5F_LIBVER_V18, newest), "versions of the format");
  require_hdf5(H5Pset_fclose_degree(access, H5F_CLOSE_STRONG), "closing");
  // Space comes from the driver, one request for each object.
  require_hdf5(H5Pset_meta_block_size(access, 0), "space for metadata");
  require_hdf5(H5Pset_small_data_block_size(access, 0), "space for payload");
  Hdf5Id const creation{H5Pcreate(H5P_FILE_CREATE), H5Pclose, "file creation"};
  require_hdf5(H5Pset_obj_track_times(creation, false), "root group without times");
  hid_t const file = H5Fcreate("dsr", H5F_ACC_TRUNC, creation, access);
  file_ = std::make_unique<Hdf5Id>(file, H5Fclose, "new file");
}

Hdf5Layout::~Hdf5Layout() = default;

void Hdf5Layout::make_groups(std::string const& dataset_path) {
  Hdf5Id const creation{H5Pcreate(H5P_GROUP_CREATE), H5Pclose, "group"};
  require_hdf5(H5Pset_obj_track_times(creation, false), "group without times");
  for (std::size_t at = dataset_path.find('/'); at != std::string::npos;
       at = dataset_path.find('/', at + 1)) {
    std::string const path = dataset_path.substr(0, at);
    if (!groups_.insert(path).second) continue;
    Hdf5Id const group{H5Gcreate2(*file_, path.c_str(), H5P_DEFAULT, creation, H5P_DEFAULT),
                       H5Gclose, "group " + path};
  }
}

void Hdf5Layout::close() { file_->close("closing the file"); }

}  // namespace dsr::detail
