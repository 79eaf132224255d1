// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Parameters owns the flat buffers in which all values and gradients of a model lie, cut into
/// buckets.
///
///     dsr::Parameters parameters{model, mesh, {.seed = 1}};
///     for (FlatBuffer& flat : parameters.flats()) …      // one per (partial_over, decay)
///
/// A flat buffer holds its parameters in the order in which their gradients become complete in
/// backward (the reverse of visiting). It is cut into buckets of whole parameters; each bucket is
/// padded to a multiple of (ranks of partial_over) × kAlignment_bytes, so that every rank of that
/// group owns an equal part of each bucket.
#include <cstdint>
#include <span>
#include <vector>

#include "dsr/core/buffer.hpp"
#include "dsr/mesh/mesh.hpp"
#include "dsr/state/deal.hpp"
#include "dsr/state/parameter.hpp"
#include "dsr/state/state.hpp"
#include "dsr/state/visitor.hpp"

namespace dsr {

struct ParameterOptions {
  std::uint64_t seed = 1;
  /// Of values: bf16, f32 or f64; gradients are accumulator_of(dtype).
  DType dtype = DType::f32;
  Size bucket_bytes = Size{4} << 20;  ///< a bucket is closed once it holds so much
  /// Throws InvalidArgument if dtype is not a float type or bucket_bytes < 1.
  void validate() const;
};

struct Bucket {
  FlatRange range;              ///< in the flat buffer, padding included
  std::vector<int> parameters;  ///< indices into Parameters::all()
};

/// One flat buffer: values and gradients side by side in the same order.
struct FlatBuffer {
  AxisSet partial_over;
  Decay decay = Decay::no;
  Tensor values, gradients;  ///< [elements], padding included and always zero in the values
  std::vector<Bucket> buckets;
  /// The part of a bucket that rank `rank` of `ranks` owns: an equal, contiguous share. Throws
  /// InvalidArgument if there is no such rank or the bucket is not divisible.
  static FlatRange owned(Bucket const& bucket, int rank, int ranks);
};

/// Where a parameter lies.
struct ParameterPlace {
  Parameter* parameter = nullptr;
  int flat = 0, bucket = 0;
  FlatRange range;  ///< in the flat buffer
};

/// Moves, does not copy: it owns the memory that bound Parameters view. Must not outlive the model.
class Parameters {
 public:
  /// Visits the model, lays out and allocates the flat buffers, binds and initialises. Values
  /// depend on the seed, the full name and the global index alone: the same bits on every mesh. On
  /// a meta mesh nothing is allocated. Binds anew what an earlier Parameters had bound. Throws
  /// InvalidArgument if a parameter is visited twice, a full name is given twice, or a parameter's
  /// Shard is for another mesh shape.
  Parameters(Visitable& model, Mesh const& mesh, ParameterOptions options = {});
  Parameters(Parameters&&) noexcept = default;
  Parameters& operator=(Parameters&&) noexcept = default;

  /// In visiting order.
  std::span<ParameterPlace const> all() const { return places_; }
  std::span<FlatBuffer> flats() { return flats_; }
  std::span<FlatBuffer const> flats() const { return flats_; }
  DType dtype() const { return options_.dtype; }
  Mesh const& mesh() const { return *mesh_; }
  ParameterOptions const& options() const { return options_; }

  /// Elements of the model as the user counts them: global, without padding, each once.
  Size global_elements() const;
  /// Bytes of values plus gradients on this rank, padding included.
  Size local_bytes() const;

  /// Who of the ranks with copies of a parameter's block stores, and with ZeRO-1 owns, which part.
  Deal deal(ParameterPlace const& place) const;
  /// Adds all values as "model/<name>", and the model's texts. For a model that is not trained:
  /// what an optimizer adds holds them too, in full precision.
  void visit_state(State& state) const;
  /// Adds the model's texts alone, as "model/<name>".
  void visit_texts(State& state) const;

  /// Enqueued on `stream`.
  void zero_gradients(Stream& stream);
  /// 64-bit hash of the bits of this rank's values, to compare replicas; padding left out. A
  /// constant on meta.
  std::uint64_t hash_values() const;

 private:
  Mesh const* mesh_ = nullptr;
  ParameterOptions options_;
  std::vector<ParameterPlace> places_;
  std::vector<FlatBuffer> flats_;
  std::vector<Buffer> buffers_;
  std::vector<TextEntry> texts_;
};

}  // namespace dsr
