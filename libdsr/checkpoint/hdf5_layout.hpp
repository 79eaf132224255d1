// SPDX-License-Identifier: Apache-2.0
#pragma once
/// An HDF5 file that is laid out without a disk: HDF5 asks a driver of its own for space and writes
/// metadata to it, and the driver keeps that in memory. Payload is given space and never kept.
///
///     Hdf5Layout layout{H5F_LIBVER_V18};
///     layout.make_groups("model/norm/weight/slice_0");
///     … H5Dcreate2(layout.file(), …);
///     layout.close();   // layout.pieces(), layout.bytes()
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "dsr/checkpoint/container.hpp"
#include "libdsr/checkpoint/hdf5_calls.hpp"

namespace dsr::detail {

/// Bytes at addresses, what was never written left out.
class SparseBytes {
 public:
  void write(Size offset, std::byte const* bytes, Size count);
  /// What was never written reads as zero.
  void read(Size offset, std::byte* bytes, Size count) const;
  /// The end of the last byte written.
  Size end() const;
  /// Moves everything out, ascending; no two pieces touch.
  std::vector<Container::Piece> take();

 private:
  std::map<Size, std::vector<std::byte>> runs_;  ///< no two overlap or touch
};

/// What the driver knows of the file.
struct MemoryFile {
  SparseBytes written;
  Size end = 0;                  ///< of the space that was given out
  Size next = 0, chunk_end = 0;  ///< where metadata goes, before the next chunk is needed
  Size chunk_bytes = kPayloadAlignment_bytes;  ///< of the next chunk
  Size payload_begin = 0, payload_next = 0, payload_end = 0;  ///< reserved for packed payload

  /// Payload begins at multiples of 4096. Metadata is kept together in chunks that double, so that
  /// a file has few pieces of it.
  Size allocate_payload(Size bytes);
  /// From now on payload is packed, without alignment, into a range of this size at the end of what
  /// was given out; where it begins. Once.
  Size reserve_payload(Size bytes);
  bool holds_payload(Size offset) const { return offset >= payload_begin && offset < payload_end; }
  Size allocate_metadata(Size bytes);
};

/// Neither copies nor moves: HDF5 keeps pointers into it. A Hdf5Session must live around it.
class Hdf5Layout {
 public:
  explicit Hdf5Layout(H5F_libver_t newest);
  ~Hdf5Layout();
  Hdf5Layout(Hdf5Layout const&) = delete;
  Hdf5Layout& operator=(Hdf5Layout const&) = delete;

  hid_t file() const { return *file_; }
  /// The groups above a dataset. They are made one by one, without times: those that HDF5 makes by
  /// itself have the time of day inside, and equal sets would differ.
  void make_groups(std::string const& dataset_path);

  /// Completes the file.
  void close();
  Size bytes() const { return memory_.end; }
  Size reserve_payload(Size bytes) { return memory_.reserve_payload(bytes); }
  /// Where the next payload in the reserved range will be.
  Size payload_next() const { return memory_.payload_next; }
  std::vector<Container::Piece> take_pieces() { return memory_.written.take(); }

 private:
  MemoryFile memory_;
  std::unique_ptr<Hdf5Id> driver_, file_;
  std::set<std::string> groups_;
};

}  // namespace dsr::detail
