// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Verification and loading in one pass: each block of a rank's share is read once, hashed, and what
/// is wanted of it is then in its place already.
///
///     VerifiedReader reader{files, directory, manifest, wanted, {rank, ranks}};
///     std::vector<Fault> const faults = reader.verify();
///     … all ranks found none …
///     reader.read_rest();      // what was in the blocks of others
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "dsr/checkpoint/hash.hpp"
#include "dsr/checkpoint/sets.hpp"
#include "dsr/io/file_system.hpp"

namespace dsr::detail {

/// A box of a stored tensor, and the memory that it is wanted in, row-major.
struct WantedPart {
  StoredTensor const* tensor = nullptr;
  Box box;
  std::span<std::byte> bytes;
};

/// Neither copies nor moves. One thread; what it is given must outlive it.
class VerifiedReader {
 public:
  /// Throws InvalidArgument if the bytes and the box of a part do not agree, or parts have elements
  /// in common; CorruptData if the slices of a tensor do not cover its part.
  VerifiedReader(FileSystem& files, std::string directory, Manifest const& manifest,
                 std::vector<WantedPart> const& wanted, BlockShare share = {});

  /// The faults of the share, as verify_set. Of wanted memory, nothing is known if there are any.
  std::vector<Fault> verify();
  /// Reads what is wanted and is not in the share, without hashing. Throws as read_part.
  void read_rest();

 private:
  /// Wanted bytes that follow each other in file and memory.
  struct Run {
    Size offset = 0, bytes = 0;
    std::byte* to = nullptr;
    Size end() const { return offset + bytes; }
  };
  void plan(WantedPart const& part);
  void sort_runs();
  bool shared(std::size_t file, Size block) const {
    return (first_block_[file] + block) % share_.readers == share_.reader && wanted(file, block);
  }
  bool wanted(std::size_t file, Size block) const {
    return !share_.wanted || share_.wanted(file, block);
  }
  bool wanted(std::size_t file) const;
  void verify_file(std::size_t index, std::vector<Fault>& faults);
  std::string block_fault(File& file, std::size_t index, Size begin, Size end);
  Size read_some(File& file, std::vector<Run> const& runs, Size at, Size end);
  void read_range(File& file, std::size_t index, Run const& run, Size begin, Size end);

  FileSystem& files_;
  std::string directory_;
  Manifest const& manifest_;
  BlockShare share_;
  std::vector<std::vector<Run>> runs_;  // of each file, ascending, apart
  std::vector<Size> first_block_;       // of each file, counted over all
  std::vector<WantedPart> later_;       // left to read_part
  std::vector<std::byte> scratch_;
  BlockHasher hasher_;
};

}  // namespace dsr::detail
