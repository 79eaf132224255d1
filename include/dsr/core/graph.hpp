// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Graph: work of a CUDA stream, recorded once and enqueued again with one call, so that the host
/// does not launch each kernel anew.
///
///     Graph graph;
///     graph.capture(stream, [&] { model.forward(pass, {}, {});  model.backward(pass, {}, {}); });
///     graph.replay(stream);
#include <functional>
#include <memory>

#include "dsr/core/stream.hpp"

namespace dsr {

/// Moves. Goes back before what the recorded work uses: memory, libraries, Communicators.
class Graph {
 public:
  Graph();
  ~Graph();
  Graph(Graph&&) noexcept;
  Graph& operator=(Graph&&) noexcept;

  /// Runs `work`, whose enqueued parts are recorded instead of done: those of `stream`, and of other
  /// streams between a wait for it and its wait for them. Replaces what was recorded before. What
  /// work does on the host is done now and not again; it must not allocate device memory, nor wait
  /// for the device, so run it once without a graph first. Other threads are not affected.
  /// Throws InvalidArgument if the stream is not on CUDA, CudaError if something cannot be recorded.
  void capture(Stream& stream, std::function<void()> const& work);
  bool captured() const;
  /// Enqueues the recorded work; addresses and numbers are those of capture. The stream counts it
  /// as it did then. Throws InvalidArgument if nothing is recorded.
  void replay(Stream& stream) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace dsr
