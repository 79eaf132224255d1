// SPDX-License-Identifier: Apache-2.0
#pragma once
/// One set into a State: looked up before anything is read, and each block read once where there is
/// memory for that.
///
///     SetLoader loader{files, directory, manifest, plan, state, mesh, staging.lend(),
///                      {rank, ranks}};
///     if (all_ranks(loader.verify().empty())) loader.fill_in();
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "dsr/checkpoint/manifest.hpp"
#include "dsr/checkpoint/sets.hpp"
#include "dsr/core/buffer.hpp"
#include "dsr/core/stream.hpp"
#include "dsr/mesh/mesh.hpp"
#include "dsr/state/pieces.hpp"
#include "libdsr/checkpoint/state_plan.hpp"
#include "libdsr/checkpoint/verified_reader.hpp"

namespace dsr::detail {

/// Neither copies nor moves. One thread; what it is given must outlive it.
///
/// What is wanted waits in `memory` until all ranks have verified their share, if it fits there. A
/// state on the CPU of more than kHeld_bytes is read into its own place instead: a second copy would
/// take as long again as reading. Anything else is read once more after all have verified.
class SetLoader {
 public:
  static constexpr Size kHeld_bytes = Size{64} << 20;

  /// Throws CorruptData if slices do not cover a tensor.
  SetLoader(FileSystem& files, std::string directory, Manifest const& manifest, StatePlan const& plan,
            State const& state, Mesh const& mesh, std::span<std::byte> memory, BlockShare share);

  /// Faults of this rank's share of blocks, as verify_set.
  std::vector<Fault> verify() { return reader_->verify(); }
  /// Whether verify() writes to the state itself.
  bool in_place() const { return in_place_; }
  /// Once no rank has found a fault. Throws as read_part, and what a text's loader throws.
  void fill_in();

 private:
  void plan_memory(std::span<std::byte> memory);
  void transfer_held();
  void read_again();

  FileSystem& files_;
  std::string directory_;
  Manifest const& manifest_;
  StatePlan const& plan_;
  State const& state_;
  Stream stream_;
  std::vector<StatePiece> const& pieces_;
  std::vector<StoredTensor const*> const& sources_;  // of the pieces
  std::vector<WantedPart> parts_;             // of the pieces; none if they are read again
  bool in_place_ = false;
  Buffer own_;
  std::optional<VerifiedReader> reader_;
};

}  // namespace dsr::detail
