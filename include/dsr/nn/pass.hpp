// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Pass: one micro-batch's way through a model: its Batch, its streams, what backward needs, and
/// scratch memory.
///
///     Pass pass{mesh, compute, exchange, measure(model, mesh, B, S, options).arenas, options};

///     pass.begin(batch, Mode::train, step);
///     model.forward(pass, {}, {});  model.backward(pass, {}, {});
///
/// Nothing in it allocates from the system: addresses repeat from step to step.
#include <array>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "dsr/core/arena.hpp"
#include "dsr/core/batch.hpp"
#include "dsr/core/range.hpp"
#include "dsr/core/rng.hpp"
#include "dsr/core/stream.hpp"
#include "dsr/mesh/mesh.hpp"
#include "dsr/nn/layer.hpp"

namespace dsr {

enum class Mode : std::uint8_t { train, evaluate };

/// What forward gathered for a matrix product: gathered again in backward, or kept.
enum class Regather : std::uint8_t { no, yes };

/// What backward computes again instead of reading what forward saved; the results are the same
/// bits, but for a GELU on CUDA that a product applied before it rounded. selective: outputs of
/// LayerNorm and GELU, from what is saved anyway. block: all of a Block but its input; its forward,
/// collectives included, then runs twice, and what Regather::no keeps is kept for one Block at a
/// time.
enum class Recompute : std::uint8_t { none, selective, block };

/// Results that Recompute::selective makes again.
enum class Remade : std::uint8_t { norm, activation };

/// Whether a part of forward runs for the first time, or again in backward.
enum class Turn : std::uint8_t { first, again };

struct PassOptions {
  DType dtype = DType::f32;  ///< of activations: f32 or f64 on the CPU, bf16 on CUDA
  Regather regather = Regather::yes;
  Recompute recompute = Recompute::none;
  std::uint64_t seed = 1;  ///< of dropout
  double dropout = 0;      ///< probability; 0 in Mode::evaluate whatever is given here
};

struct ArenaSizes {
  Size saved_bytes = 0, scratch_bytes = 0;
  bool operator==(ArenaSizes const&) const = default;
};

class Pass;

/// Scratch memory that goes back when the frame ends. Frames end in reverse order.
class Scratch {
 public:
  explicit Scratch(Arena& arena) : arena_(&arena), mark_(arena.used_bytes()) {}
  ~Scratch() { arena_->release(mark_); }
  Scratch(Scratch const&) = delete;
  Scratch& operator=(Scratch const&) = delete;
  Tensor take(Shape const& shape, DType dtype) { return arena_->take(shape, dtype); }

 private:
  Arena* arena_;
  Size mark_;
};

/// Saved memory and kept views that end with the frame; while a part of forward runs again, loss()
/// is another number, so that nothing is added to the loss twice.
class SavedFrame {
 public:
  SavedFrame(Pass& pass, Turn turn);
  ~SavedFrame();
  SavedFrame(SavedFrame const&) = delete;
  SavedFrame& operator=(SavedFrame const&) = delete;

 private:
  Pass* pass_;
  Size mark_;
  std::size_t views_;
  Tensor loss_;
  std::array<Tensor, 2> remade_;
};

/// Neither copies nor moves: layers hold references during a call. One host thread. Mesh and
/// streams must outlive it.
class Pass {
 public:
  /// `compute` and `exchange` may be on another device than the mesh only if all three are meta.
  Pass(Mesh const& mesh, Stream& compute, Stream& exchange, ArenaSizes sizes, PassOptions options);
  Pass(Pass const&) = delete;
  Pass& operator=(Pass const&) = delete;

  /// Starts a micro-batch: forgets what was kept, frees saved memory, zeroes nothing. The batch
  /// lies on the host; on CUDA its tokens are copied to the device, and the caller's memory may be
  /// used again at once.
  void begin(Batch const& batch, Mode mode, Size step);

  Batch const& batch() const { return batch_; }
  Mesh const& mesh() const { return *mesh_; }
  Mode mode() const { return mode_; }
  DType dtype() const { return options_.dtype; }
  /// Of sums and statistics over activations.
  DType statistics_dtype() const { return accumulator_of(options_.dtype); }
  Regather regather() const { return options_.regather; }
  Recompute recompute() const { return options_.recompute; }
  /// T, padded.
  Size tokens() const { return batch_.tokens.size(0); }
  /// Dropout probability in force: 0 in Mode::evaluate.
  double dropout() const { return mode_ == Mode::train ? options_.dropout : 0; }
  /// Key of the random numbers of a site (a layer and a place in it) in this step.
  RandomKey random(RandomPurpose purpose, std::uint64_t site) const;

  /// Names a child of the layer that runs, for profilers, until the result ends:
  /// Range part = pass.range("ffn"); then part.next(…) for the child that runs after it.
  Range range(std::string_view name) { return Range{path_, name}; }
  /// Of the layer that runs, as a Visitor gives it, such as "blocks/3/ffn"; empty between layers.
  std::string const& path() const { return path_; }

  Stream& stream() { return *compute_; }
  /// The stream for collectives over the model axes.
  Stream& exchange() { return *exchange_; }
  /// The next work on `exchange` sees what compute has written; and the other way round.
  void exchange_after_compute() { exchange_->wait(compute_->record()); }
  void compute_after_exchange() { compute_->wait(exchange_->record()); }

  /// Memory that lives until this micro-batch's backward is over.
  Tensor make_saved(Shape const& shape) { return make_saved(shape, options_.dtype); }
  Tensor make_saved(Shape const& shape, DType dtype) { return saved_.take(shape, dtype); }
  /// Memory for a result that backward makes again if remakes(); then all results of a purpose
  /// share one place, and whoever keeps a view of it writes it again before the view is read.
  Tensor make_remade(Remade what, Shape const& shape);
  bool remakes() const { return options_.recompute == Recompute::selective; }
  /// Whether backward reads the remade input of a product that was gathered over an axis, and not
  /// the kept copy of what was gathered.
  bool remakes_for(Axis axis) const {
    return remakes() && (regather() == Regather::yes || mesh_->size(axis) == 1);
  }
  /// What is saved and kept until the frame ends is forgotten: auto frame =
  /// pass.saved_frame(Turn::first);
  SavedFrame saved_frame(Turn turn) { return SavedFrame{*this, turn}; }
  /// Remembers a view for the layer's backward; kept() gives the views back in reverse order.
  /// In Mode::evaluate keep() does nothing.
  void keep(Layer const& layer, Tensor view);
  /// Throws InvalidArgument if the latest view is another layer's: forward and backward do not
  /// mirror.
  Tensor kept(Layer const& layer);
  /// The view that a layer kept `before` views of its own before its latest, left where it is.
  /// Throws InvalidArgument if there is none.
  Tensor seen(Layer const& layer, int before) const;
  /// A frame of scratch memory: auto frame = pass.scratch();
  Scratch scratch() { return Scratch{scratch_}; }

  /// Loss sum of this micro-batch so far, [1] f64, the same on all ranks of the replica; layers add
  /// into it.
  Tensor loss() const { return loss_; }

  /// Tells whoever reduces gradients that one use of a parameter has added its part.
  void gradient_added(Parameter& parameter) {
    if (on_gradient_) on_gradient_(parameter);
  }
  /// Sets what gradient_added calls; empty: nothing.
  void on_gradient(std::function<void(Parameter&)> callback) { on_gradient_ = std::move(callback); }

  /// Highest use of both arenas so far.
  ArenaSizes high_water() const { return {saved_.high_water_bytes(), scratch_.high_water_bytes()}; }

 private:
  /// Pinned memory that one batch travels through, and when it may be used again.
  struct Staging {
    Buffer host;
    Event sent;
  };
  Batch on_device(Batch const& batch);

  friend class SavedFrame;
  struct Kept {
    Layer const* layer;
    Tensor view;
  };
  Mesh const* mesh_;
  Stream* compute_;
  Stream* exchange_;
  PassOptions options_;
  Arena saved_, scratch_, loss_arena_;
  Tensor loss_, loss_again_;
  std::array<Tensor, 2> remade_;  // by Remade
  Batch batch_;
  Mode mode_ = Mode::train;
  Size step_ = 0;
  std::string path_;
  std::vector<Kept> kept_;
  std::array<Staging, 2> staging_;
  std::size_t next_staging_ = 0;
  Buffer batch_memory_;
  std::function<void(Parameter&)> on_gradient_;
};

/// A Batch for a meta Pass: shapes without memory, T padded to a multiple of the mesh's row size;
/// only the sequence starts are real, since what attention does depends on them.
struct MetaBatch {
  std::vector<std::int32_t> starts;
  Batch batch;  ///< views `starts`
};
MetaBatch meta_batch(Mesh const& mesh, Size sequences, Size sequence_tokens);

/// Everything a micro-batch of a model does, found by running its layers on meta streams and a meta
/// mesh of the same shape; touches no data, so the real layers can be measured.
struct Measured {
  ArenaSizes arenas;
  Work work;                                         ///< of compute, forward and backward
  std::vector<std::pair<AxisSet, Traffic>> traffic;  ///< of groups that were used
};
Measured measure(Layer& model, Mesh const& mesh, Size sequences, Size sequence_tokens,
                 PassOptions options);

}  // namespace dsr
