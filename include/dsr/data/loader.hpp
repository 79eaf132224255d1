// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Loader: cuts a token source into sequences and deals them to steps, replicas and micro-batches.
///
///     Loader loader{open_tokens("train.bin"), mesh, {.batch = 512, .micro_batch = 8}};
///     for (Size j = 0; j < loader.accumulation(); ++j) use(loader.next(j));
///     loader.advance();                                        // the step is done
///
/// Sequence s is tokens [s·S, s·S + S], the last of which is only a target. An epoch takes every
/// sequence once, in an order that depends on seed and epoch. A step is `batch` entries of that
/// order; the next epoch follows at once. Entry number (j·dp + d)·micro_batch + b of a step, its
/// ordinal, is sequence b of micro-batch j of replica d: which sequences a step has, and their
/// ordinals, depend on neither dp nor micro_batch.
#include <string>
#include <vector>

#include "dsr/core/batch.hpp"
#include "dsr/core/buffer.hpp"
#include "dsr/data/token_source.hpp"
#include "dsr/mesh/mesh.hpp"

namespace dsr {

/// sequential: in the order of the source, for evaluation.
enum class DataOrder : std::uint8_t { shuffled, sequential };

struct LoaderOptions {
  Size batch = 12;       ///< sequences in a step, over the whole job
  Size micro_batch = 6;  ///< sequences of one replica in one forward
  Size sequence = 64;    ///< tokens
  std::uint64_t seed = 0;
  DataOrder order = DataOrder::shuffled;
  Size vocabulary = 0;  ///< tokens must be below; 0: not checked
  /// Throws InvalidArgument, a line for each problem, if a size is below 1 or needs over 32 bits.
  void validate() const;
  /// Micro-batches of each of `replicas` in a step, batch / (replicas·micro_batch). Throws
  /// InvalidArgument (an equation, and the nearest numbers that fit) if that is not whole.
  Size accumulation(Size replicas) const;
};

/// The next step's place: it begins with entry `index` of the order of epoch `epoch`.
struct Cursor {
  Size epoch = 0, index = 0;
  bool operator==(Cursor const&) const = default;
};

/// Moves, does not copy: batches view its memory. One host thread uses it. Needs the mesh only
/// while it is made.
class Loader {
 public:
  /// Reads all tokens once if a vocabulary is given. Throws InvalidArgument (an equation, and the
  /// nearest numbers that fit) if batch % (dp·micro_batch) is not 0; CorruptData for too few tokens
  /// or one outside the vocabulary.
  Loader(Tokens tokens, Mesh const& mesh, LoaderOptions options = {});

  LoaderOptions const& options() const { return options_; }
  /// Sequences in an epoch, (tokens − 1)/S.
  Size sequences() const { return sequences_; }
  /// Micro-batches of this replica in a step, batch / (dp·micro_batch).
  Size accumulation() const { return accumulation_; }

  /// Micro-batch `micro` of the present step, on the CPU; valid until the next call. T is padded to
  /// a multiple of the mesh's row. Does not move the cursor. Throws InvalidArgument outside [0,
  /// accumulation).
  Batch const& next(Size micro);
  /// Ends the step.
  void advance();
  /// Back to the beginning of epoch 0.
  void rewind() { cursor_ = {}; }

  Cursor cursor() const { return cursor_; }
  /// "epoch=1 index=24 sequences=1000 sequence=64 seed=0 order=shuffled".
  std::string save() const;
  /// Takes up a saved cursor; dp, micro_batch and batch may differ. Throws CorruptData if the text
  /// is not what save writes, InvalidArgument if it belongs to other data, another sequence length,
  /// seed or order.
  void load(std::string const& text);

 private:
  Size sequence_of(Size entry) const;
  void fill(Size row, Size ordinal);

  Tokens tokens_;
  LoaderOptions options_;
  Size replicas_ = 1, replica_ = 0;
  Size sequences_ = 0, accumulation_ = 0;
  Cursor cursor_;
  Buffer buffer_;
  Batch batch_;
  std::vector<std::int32_t> window_;  // S + 1 tokens
};

}  // namespace dsr
