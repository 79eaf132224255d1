// SPDX-License-Identifier: Apache-2.0
#pragma once
/// How the vendor libraries' algorithms are chosen, per stream. On CUDA only: elsewhere nothing
/// here has an effect.
///
///     choose_algorithms({.choice = AlgorithmChoice::timed}, stream);
///     model.forward(pass, {}, {});                              // each product's first use is slow
///     std::string text = save_algorithms(stream);               // rank 0 sends it to the others
///     load_algorithms(text, stream);                            // the same choices, and no timing
///
/// A choice that was made stays: the same shapes give the same bits, step after step.
#include <cstdint>
#include <string>

#include "dsr/core/shape.hpp"
#include "dsr/core/stream.hpp"

namespace dsr {

/// heuristic: the library's first proposal. timed: its best ones run in turn at a product's first
/// use outside a captured graph, and the fastest stays.
enum class AlgorithmChoice : std::uint8_t { heuristic, timed };

/// on: only algorithms that give the same bits every time, also where that costs time or memory.
enum class Determinism : std::uint8_t { off, on };

/// What matrix products are offered on CUDA, once a stream. NVIDIA recommends 32 MiB on Hopper;
/// split sums of large weights use more.
inline constexpr Size kMatmulWorkspace_bytes = Size{64} << 20;

struct AlgorithmOptions {
  AlgorithmChoice choice = AlgorithmChoice::heuristic;
  Determinism deterministic = Determinism::off;  ///< of attention_backward; products always are
};

/// From the next op on; choices that were made before stay.
void choose_algorithms(AlgorithmOptions options, Stream& stream);

/// The choices for matrix products that this stream has used or loaded, as text; empty on a device
/// that has none.
std::string save_algorithms(Stream& stream);

/// Choices for products that this stream has not yet used. Throws InvalidArgument if the text is
/// for another GPU or library version, CorruptData with the line if it is no such text.
void load_algorithms(std::string const& text, Stream& stream);

/// The choices in the text in place of all that this stream has made: products that it has used
/// follow them too, from now on. Throws as load_algorithms does, and then nothing changes.
void follow_algorithms(std::string const& text, Stream& stream);

}  // namespace dsr
