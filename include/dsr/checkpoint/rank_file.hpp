// SPDX-License-Identifier: Apache-2.0
#pragma once
/// One rank's part of a set: written as one HDF5 file, reported to rank 0, which makes the manifest
/// of all reports; and parts of tensors read back by a manifest, whatever mesh wrote them.
///
///     RankReport const report = write_rank_file(files, directory, rank, pieces);
///     Manifest manifest = merge_reports(reports);                     // rank 0
///     read_part(files, directory, manifest, manifest.tensors[0], box, memory);
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "dsr/checkpoint/manifest.hpp"
#include "dsr/checkpoint/piece_bytes.hpp"
#include "dsr/checkpoint/rate_limit.hpp"
#include "dsr/io/file_system.hpp"

namespace dsr {

/// A part of a global tensor in host memory, row-major.
struct HostPiece {
  std::string name;
  Shape global;
  DType dtype = DType::f32;
  Box box;
  std::span<std::byte const> bytes;
};

/// A file and what is where in it. Slice::file of the tensors is 0.
struct RankReport {
  StoredFile file;
  std::vector<StoredTensor> tensors;
};

/// "rank_00003.h5".
std::string rank_file_name(int rank);

/// How a file is written; bytes and hashes do not depend on it.
struct WriteOptions {
  int threads = 1;             ///< that hash and write, the calling one included
  RateLimit* limit = nullptr;  ///< asked before each write; outlives the call
};

/// Creates the file in the set's directory, which exists: allocated, written, hashed, synced, closed,
/// and the directory synced. Pieces without elements are left out. Throws IoError; InvalidArgument
/// if a piece's box, dtype and bytes do not agree.
RankReport write_rank_file(FileSystem& files, std::string const& directory, int rank,
                           std::vector<HostPiece> const& pieces, WriteOptions const& options = {});

/// The same while the bytes are still on their way: they are taken from `source`, piece after piece,
/// and what the pieces say of them is not looked at. If this throws, the source is abandoned. Throws
/// also what the source throws.
RankReport write_rank_file(FileSystem& files, std::string const& directory, int rank,
                           std::vector<HostPiece> const& pieces, PieceBytes& source,
                           WriteOptions const& options = {});

/// A report as one line of text, for gather_texts; and back. Throws CorruptData for other text.
std::string to_text(RankReport const& report);
RankReport parse_report(std::string const& text);

/// The files and tensors of a manifest, tensors in the order in which they are first met. Throws
/// InvalidArgument if reports disagree about a tensor's shape or type.
Manifest merge_reports(std::vector<RankReport> const& reports);

/// Reads elements `box` of a stored tensor, row-major, into `bytes`, from the slices that hold them.
/// Throws IoError, also for a file that ends too early; CorruptData if the slices do not cover the
/// box; InvalidArgument if bytes and box do not agree. Hashes are not looked at: see verify_set.
void read_part(FileSystem& files, std::string const& directory, Manifest const& manifest,
               StoredTensor const& tensor, Box const& box, std::span<std::byte> bytes);

}  // namespace dsr
