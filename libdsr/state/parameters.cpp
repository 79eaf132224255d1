// SPDX-License-Identifier: Apache-2.0
#include "dsr/state/parameters.hpp"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "dsr/core/error.hpp"
#include "dsr/core/rng.hpp"
#include "libdsr/state/flat_layout.hpp"
#include "libdsr/state/local_rows.hpp"

namespace dsr {
namespace {

class Collector final : public Visitor {
 public:
  explicit Collector(MeshShape const& mesh) : mesh_(mesh) {}
  std::vector<detail::NamedParameter> take() { return std::move(found_); }

 private:
  void on_parameter(std::string const& path, Parameter& parameter) override {
    auto const same = [&](auto const& other) { return other.parameter == &parameter; };
    if (auto const found = std::find_if(found_.begin(), found_.end(), same);
        found != found_.end()) {
      throw InvalidArgument(problem("parameter \"" + path + "\"",
                                    "also named \"" + found->name + "\"",
                                    "one name; a tied weight is visited once and has uses = 2"));
    }
    if (parameter.shard().mesh() != mesh_) {
      throw InvalidArgument(problem("parameter \"" + path + "\"",
                                    "sharded for mesh " + to_string(parameter.shard().mesh()),
                                    to_string(mesh_)));
    }
    found_.push_back({path, &parameter});
  }

  MeshShape const& mesh_;
  std::vector<detail::NamedParameter> found_;
};

/// Writes the owned elements. Each depends on the key and its global index only, so threads change
/// no bit.
template <class T>
void draw(Parameter const& parameter, Place const& place, std::uint64_t seed) {
  detail::LocalRows const rows{parameter.shard(), place};
  Init const init = parameter.traits().init;
  RandomKey const key =
      random_key(seed, RandomPurpose::initial_values, random_site(parameter.name()), 0);
  T* const values = parameter.value().data<T>();
#ifdef _OPENMP
#pragma omp parallel for schedule(static)
#endif
  for (Size row = 0; row < rows.rows(); ++row) {
    auto const start = rows.start(row);
    for (Size i = 0; i < rows.length(); ++i) {
      double const random =
          init.stddev == 0
              ? 0
              : init.stddev * normal(key, static_cast<std::uint64_t>(start.global + i));
      values[start.local + i] = static_cast<T>(init.mean + random);
    }
  }
}

/// A 64-bit hash that takes in eight bytes at a step; not for adversaries.
class Hasher {
 public:
  void add(void const* data, Size bytes) {
    auto const* from = static_cast<std::byte const*>(data);
    for (; bytes > 0; bytes -= 8, from += 8) {
      std::uint64_t word = 0;
      std::memcpy(&word, from, static_cast<std::size_t>(std::min<Size>(bytes, 8)));
      state_ = scramble(state_ ^ word);
    }
  }
  std::uint64_t value() const { return scramble(state_); }

 private:
  /// Finaliser of splitmix64: a bijection in which each input bit reaches every output bit.
  static std::uint64_t scramble(std::uint64_t x) {
    x += 0x9E3779B97F4A7C15U;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9U;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBU;
    return x ^ (x >> 31);
  }
  std::uint64_t state_ = 0;
};

bool is_meta(Mesh const& mesh) { return mesh.device().kind == Device::Kind::meta; }

}  // namespace

void ParameterOptions::validate() const {
  if (dtype != DType::f32 && dtype != DType::f64) {
    throw InvalidArgument(problem("parameters: dtype", name_of(dtype), "f32, f64", "f32"));
  }
  if (bucket_bytes < 1) {
    throw InvalidArgument(
        problem("parameters: bucket_bytes", std::to_string(bucket_bytes), ">= 1", "1"));
  }
}

FlatRange FlatBuffer::owned(Bucket const& bucket, int rank, int ranks) {
  Size const elements = bucket.range.elements();
  if (rank < 0 || rank >= ranks || elements % ranks != 0) {
    throw InvalidArgument(problem("bucket of " + std::to_string(elements) + " elements",
                                  "part " + std::to_string(rank) + " of " + std::to_string(ranks),
                                  "0 to parts - 1, where parts divide the elements"));
  }
  Size const share = elements / ranks;
  Size const begin = bucket.range.begin + rank * share;
  return {begin, begin + share};
}

Parameters::Parameters(Visitable& model, Mesh const& mesh, ParameterOptions options)
    : mesh_(&mesh), options_(options) {
  options_.validate();
  Collector collector{mesh.shape()};
  model.visit(collector);
  auto const visited = collector.take();
  detail::FlatLayout layout = detail::lay_out(visited, mesh.shape(), options_);
  for (std::size_t f = 0; f < layout.flats.size(); ++f) {
    Shape const shape{layout.elements(f)};
    FlatBuffer& flat = layout.flats[f];
    for (Tensor FlatBuffer::*tensor : {&FlatBuffer::values, &FlatBuffer::gradients}) {
      Buffer& buffer =
          buffers_.emplace_back(shape.elements() * size_of(options_.dtype), mesh.device());
      if (!is_meta(mesh)) std::memset(buffer.data(), 0, static_cast<std::size_t>(buffer.bytes()));
      flat.*tensor = Tensor{buffer.data(), shape, options_.dtype, mesh.device()};
    }
  }
  flats_ = std::move(layout.flats);
  places_ = std::move(layout.places);
  for (std::size_t i = 0; i < places_.size(); ++i) {
    auto const& [parameter, flat, bucket, range] = places_[i];
    FlatBuffer const& home = flats_[static_cast<std::size_t>(flat)];
    Shape const local = parameter->shard().local_shape();
    parameter->bind(visited[i].name, static_cast<int>(i),
                    home.values.slice(0, range.begin, range.end).reshape(local),
                    home.gradients.slice(0, range.begin, range.end).reshape(local));
    if (is_meta(mesh)) continue;
    if (options_.dtype == DType::f32)
      draw<float>(*parameter, mesh.place(), options_.seed);
    else
      draw<double>(*parameter, mesh.place(), options_.seed);
  }
}

Size Parameters::global_elements() const {
  Size elements = 0;
  for (ParameterPlace const& place : places_)
    elements += place.parameter->shard().global().elements();
  return elements;
}

Size Parameters::local_bytes() const {
  Size bytes = 0;
  for (FlatBuffer const& flat : flats_) bytes += flat.values.bytes() + flat.gradients.bytes();
  return bytes;
}

void Parameters::zero_gradients(Stream& stream) {
  for (FlatBuffer const& flat : flats_) {
    Tensor const gradients = flat.gradients;
    stream.count({.bytes = gradients.bytes(), .calls = 1});
    stream.run([gradients] {
      std::memset(gradients.raw(), 0, static_cast<std::size_t>(gradients.bytes()));
    });
  }
}

std::uint64_t Parameters::hash_values() const {
  Hasher hasher;
  if (is_meta(*mesh_)) return hasher.value();
  for (ParameterPlace const& place : places_) {
    detail::LocalRows const rows{place.parameter->shard(), mesh_->place()};
    Tensor const value = place.parameter->value();
    Size const element_bytes = size_of(value.dtype());
    for (Size row = 0; row < rows.rows(); ++row) {
      hasher.add(static_cast<std::byte const*>(value.raw()) + rows.start(row).local * element_bytes,
                 rows.length() * element_bytes);
    }
  }
  return hasher.value();
}

}  // namespace dsr
