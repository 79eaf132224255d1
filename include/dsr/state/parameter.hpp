// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Parameter: one weight of the model, as this rank holds it: its Shard, how it starts, whose
/// gradients add up to its own, and, once a Parameters has bound it, where value and gradient lie.
///
///     Parameter weight{Shard{{F, H}, {{0, Axis::row}, {1, Axis::col}}, mesh.shape()},
///                      {.init = normal_init(0.02), .decay = Decay::yes}};
#include <cstdint>
#include <string>

#include "dsr/core/tensor.hpp"
#include "dsr/layout/shard.hpp"

namespace dsr {

/// mean + stddev · standard normal; stddev 0 is a constant.
struct Init {
  double mean = 0, stddev = 0;
  bool operator==(Init const&) const = default;
};
constexpr Init normal_init(double stddev) { return {0, stddev}; }
constexpr Init constant_init(double value) { return {value, 0}; }

/// Whether AdamW decays it: matrices do, biases and norms do not.
enum class Decay : std::uint8_t { no, yes };

struct ParameterTraits {
  Init init = {};
  AxisSet partial_over = Axis::dp;  ///< axes over which ranks hold only a part of the gradient
  Decay decay = Decay::no;
  int uses = 1;                     ///< how many backward passes add into it: 2 for a tied table
};

/// Neither copies nor moves: layers own it and Parameters points at it.
class Parameter {
 public:
  /// Throws InvalidArgument if an axis of partial_over cuts it, or uses < 1.
  Parameter(Shard shard, ParameterTraits traits);
  Parameter(Parameter const&) = delete;
  Parameter& operator=(Parameter const&) = delete;

  Shard const& shard() const { return shard_; }
  ParameterTraits const& traits() const { return traits_; }
  /// Full path, "blocks/3/attention/qkv/weight"; set when Parameters binds it.
  std::string const& name() const { return name_; }
  /// Local value and gradient, shaped shard().local_shape(). Throw InvalidArgument before binding.
  Tensor value() const;
  Tensor gradient() const;
  /// Number of this parameter in its Parameters; -1 before binding.
  int index() const { return index_; }

  /// Called by Parameters.
  void bind(std::string name, int index, Tensor value, Tensor gradient);

 private:
  Shard shard_;
  ParameterTraits traits_;
  std::string name_;
  int index_ = -1;
  Tensor value_, gradient_;
};

}  // namespace dsr
