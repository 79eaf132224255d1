// SPDX-License-Identifier: Apache-2.0
#pragma once
/// FragmentFile: what one rank has accumulated within a step, in two slots that are written in
/// turns, so that a crash leaves the older of them whole.
///
///     FragmentFile slots{files, "run/checkpoints/fragments", 3, bytes};
///     slots.write(header, payload);                            // rank_00003.0, next time .1
///     for (FragmentHeader const& found : slots.claimed())      // at most two
///       if (slots.read(found, payload)) …                      // every block has its hash
///
/// A slot is a header of one sector, a table of block hashes and the payload. Whatever is odd about
/// one makes it a slot that is not there, never an error.
#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dsr/checkpoint/hash.hpp"
#include "dsr/io/file_system.hpp"

namespace dsr {

/// What a payload is, and what it belongs to.
struct FragmentHeader {
  std::string run_id;    ///< plain_name
  int generation = 0;    ///< the start of the run that wrote it
  std::string base;      ///< content_hash of the set whose weights the gradients belong to
  Size step = 0;         ///< of that set
  std::string mesh;      ///< "dp=2 row=2 col=1"
  int rank = 0;          ///< in the mesh
  std::string settings;  ///< hash of all that changes a gradient
  Size micro_batches = 0, of = 0;  ///< done, and in a step
  Size tokens = 0;                 ///< with a target, so far
  double loss = 0;                 ///< their sum
  std::string cursor;              ///< the loader's place
  Size bytes = 0;                  ///< of the payload; set by write
  std::string payload;             ///< file_hash of its blocks; set by write
  bool operator==(FragmentHeader const&) const = default;
};

inline constexpr Size kFragmentSector_bytes = 4096;

/// One sector: a line for each field and one for the hash of those before it, then zeros. Throws
/// InvalidArgument, naming the field, if parse_fragment_header would refuse it.
std::string to_text(FragmentHeader const& header);
/// The inverse; nullopt for anything that to_text does not give.
std::optional<FragmentHeader> parse_fragment_header(std::string_view sector);

/// Moves, does not copy: it owns open files. One thread uses it at a time; `files` must outlive it.
class FragmentFile {
 public:
  /// For payloads of `bytes`. Touches no file.
  FragmentFile(FileSystem& files, std::string directory, int rank, Size bytes);

  /// Headers of the slots, of whatever mesh and model, newest last by (step, generation,
  /// micro_batches). What a header says of its payload is not looked at. Never throws Error.
  std::vector<FragmentHeader> claimed();
  /// Reads the payload of a claimed slot; false if it is not of this size, or a block has another
  /// hash or cannot be read. The next write leaves this slot alone. Throws InvalidArgument if
  /// payload has another size.
  bool read(FragmentHeader const& header, std::span<std::byte> payload);

  /// Overwrites the slot that was not written or read last; makes the directory and both files
  /// first if they are not there in this size. When it returns the fragment outlives a loss of
  /// power. Throws IoError: then no slot may be written again; InvalidArgument as to_text, or if
  /// payload has another size.
  void write(FragmentHeader header, std::span<std::byte const> payload);
  /// Makes the files now, so that write only writes. Throws IoError.
  void prepare();

 private:
  std::string path(std::size_t slot) const;
  std::optional<FragmentHeader> header_of(std::size_t slot);
  bool read_slot(std::size_t slot, FragmentHeader const& header, std::span<std::byte> payload);
  void require_size(std::size_t found) const;

  FileSystem* files_;
  std::string directory_;
  int rank_;
  Size bytes_;
  std::size_t next_ = 0;                         // the slot that may be overwritten
  std::array<std::unique_ptr<File>, 2> open_{};  // for writing
};

}  // namespace dsr
