// SPDX-License-Identifier: Apache-2.0
#pragma once
/// One rank's part of a cold set: compressed chunks of at most 4 MiB, weights in bf16 unless asked
/// otherwise, in an HDF5 file that h5py reads with hdf5plugin.
///
///     StoredPieces source{files, warm_set, report, ColdContent::weights};   // the rank's own file
///     RankReport const cold = write_cold_file(files, directory, rank, source.pieces(), source);
///
/// The report is merged and committed like that of write_rank_file.
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "dsr/checkpoint/piece_bytes.hpp"
#include "dsr/checkpoint/rank_file.hpp"
#include "dsr/checkpoint/tier.hpp"

namespace dsr {

/// What begins the names of weights: all that a cold set has unless asked otherwise.
inline constexpr std::string_view kWeightPrefix = "model/";

struct ColdOptions {
  ColdContent content = ColdContent::weights;
  DType dtype = DType::bf16;  ///< of f32 weights, rounded to nearest, ties to even; others stay
  int level = 1;              ///< of Zstandard
  WriteOptions write = {};    ///< threads compress, the limit counts compressed bytes
  /// Throws InvalidArgument: dtype is neither bf16 nor f32, or the level not 1 to kMostCompression.
  void validate() const;
};

/// Creates the file in the set's directory, which exists: written, hashed, synced, closed, and the
/// directory synced. The file does not depend on the threads. Each needs 16 MiB, and the first
/// block of the file is held until the end. Throws IoError; InvalidArgument for options, for a
/// piece whose box, dtype and bytes do not agree, or whose name is no tensor_name; Error if HDF5
/// fails.
RankReport write_cold_file(FileSystem& files, std::string const& directory, int rank,
                           std::vector<HostPiece> const& pieces, ColdOptions const& options = {});

/// The same while the bytes are still on their way: see write_rank_file. Pieces that are not kept
/// are taken and given back all the same.
RankReport write_cold_file(FileSystem& files, std::string const& directory, int rank,
                           std::vector<HostPiece> const& pieces, PieceBytes& source,
                           ColdOptions const& options = {});

/// What a manifest says of one of its files, as the rank that wrote it has reported it.
RankReport report_of(Manifest const& manifest, int file);

/// The pieces in a rank's file of a hot or warm set, read and verified as they are taken: every
/// block of the file that holds some of them is read once and hashed. Needs memory for the blocks
/// that are taken, and one more. Neither copies nor moves: threads share it.
class StoredPieces final : public PieceBytes {
 public:
  /// `files` must outlive it. Throws InvalidArgument for tensors with a codec; IoError.
  StoredPieces(FileSystem& files, std::string const& directory, RankReport report,
               ColdContent content);

  /// In the order of the file; they have no bytes of their own.
  std::vector<HostPiece> const& pieces() const { return pieces_; }

  /// Throws CorruptData, naming the file and the block, for a wrong hash or a file that is too
  /// short; IoError.
  std::span<std::byte const> take(std::size_t piece, Size at, Size most) override;
  void give_back(std::size_t piece, Size at, Size bytes) override;
  void abandon() noexcept override;

 private:
  using Block = std::shared_ptr<std::vector<std::byte> const>;
  Block read_block(Size number);

  StoredFile stored_;
  std::string path_;
  std::unique_ptr<File> file_;
  std::vector<HostPiece> pieces_;
  std::vector<Size> offsets_;  // of the pieces
  std::mutex mutex_;
  Size last_number_ = -1;
  Block last_;
  std::map<std::pair<std::size_t, Size>, Block> taken_;
  bool abandoned_ = false;
};

}  // namespace dsr
