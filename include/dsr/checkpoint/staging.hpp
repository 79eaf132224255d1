// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Staging: the memory between a step and the writing of a set. The step stands still while its
/// state is copied there; hashing and writing take it from there beside the next steps.
///
///     Staging staging{mesh.device(), {}};
///     staging.reserve(state, mesh);                    // once, at start: pinning takes seconds
///     staging.begin(state, mesh);
///     std::thread writer{
///         [&] { write_rank_file(files, directory, rank, staging.pieces(), staging); }};
///     staging.copy();                                  // the step goes on when it returns
///
/// With a bound on the memory the step stands still until the writer has made room for the last
/// bytes; without one it does not wait for the writer.
#include <condition_variable>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "dsr/checkpoint/piece_bytes.hpp"
#include "dsr/checkpoint/rank_file.hpp"
#include "dsr/core/buffer.hpp"
#include "dsr/core/stream.hpp"
#include "dsr/mesh/mesh.hpp"
#include "dsr/state/pieces.hpp"

namespace dsr {

struct StagingOptions {
  Size bytes = 0;              ///< most memory of a rank; 0: as much as it stores
  Size limit_bytes_per_s = 0;  ///< of a rank's writing; 0: none
  int threads = 1;             ///< that copy (on the CPU), and that hash and write
  /// Throws InvalidArgument.
  void validate() const;
};

/// Neither copies nor moves: threads share it. One thread, the training one, calls reserve, begin,
/// and copy; the writing ones call take, give_back and abandon, between begin and the next begin. The
/// memory stays, page-locked on CUDA.
class Staging final : public PieceBytes {
 public:
  /// Throws InvalidArgument as validate() does.
  Staging(Device device, StagingOptions options);
  ~Staging() override;

  /// Makes the memory that begin will need, and touches its pages. Throws OutOfMemory;
  /// InvalidArgument as stored_by does.
  void reserve(State const& state, Mesh const& mesh);
  /// What this rank will store; copies nothing yet. Makes memory if there is not enough. Throws as
  /// reserve does. No one may still be taking from the copy before.
  void begin(State const& state, Mesh const& mesh);
  /// Returns when all bytes of the state have been copied, or the writer has abandoned them. Work
  /// that changes the state must have run. An error in copying is thrown by take().
  void copy();

  /// Of the last begin. They hold their bytes once copy() has returned if whole(), none otherwise.
  std::vector<HostPiece> const& pieces() const { return pieces_; }
  bool whole() const { return whole_; }
  /// The memory, for use between saves; what it has been copied into must no longer be taken.
  std::span<std::byte> lend() const {
    return {memory(), static_cast<std::size_t>(memory_.bytes())};
  }
  Size memory_bytes() const { return memory_.bytes(); }
  /// Seconds that making the memory has taken so far, pinning and touching included.
  double reserve_s() const { return reserve_s_; }

  std::span<std::byte const> take(std::size_t piece, Size at, Size most) override;
  void give_back(std::size_t piece, Size at, Size bytes) override;
  void abandon() noexcept override;

 private:
  /// Bytes that follow each other both in the state and in the memory.
  struct Run {
    std::byte const* from = nullptr;
    Device device = kCpu;
    Size bytes = 0, to = 0;
  };
  void lay_out(std::vector<StatePiece> const& pieces);
  void make_memory();
  void copy_run(Run const& run);
  void copy_on_host();
  void copy_through_ring();
  Size room_at(Size at, Size most);
  void publish(Size until);
  std::byte* memory() const { return static_cast<std::byte*>(memory_.data()); }

  Device device_;
  StagingOptions options_;
  Stream stream_;
  Buffer memory_;
  double reserve_s_ = 0;
  bool whole_ = true;
  std::vector<HostPiece> pieces_;
  std::vector<Size> begins_;  // of the pieces: in memory if whole, else in all their bytes
  std::vector<Run> runs_;     // whole: by address; else one a piece, in order
  Size needed_ = 0;           // memory

  std::mutex mutex_;
  std::condition_variable changed_;
  Size copied_ = 0, freed_ = 0;      // bytes, in the order of the pieces
  std::map<Size, Size> given_back_;  // [first, second) that wait for earlier bytes
  bool abandoned_ = false;
  std::string error_;
};

}  // namespace dsr
