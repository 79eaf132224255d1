// SPDX-License-Identifier: Apache-2.0
#include "dsr/state/parameters.hpp"

#include <algorithm>
#include <cstring>
#include <string>
#include <type_traits>
#include <utility>

#include "dsr/core/bf16.hpp"
#include "dsr/core/error.hpp"
#include "dsr/core/rng.hpp"
#include "dsr/core/transfer.hpp"
#include "libdsr/state/flat_layout.hpp"
#include "libdsr/state/local_rows.hpp"

namespace dsr {
namespace {

class Collector final : public Visitor {
 public:
  explicit Collector(MeshShape const& mesh) : mesh_(mesh) {}
  std::vector<detail::NamedParameter> take() { return std::move(found_); }
  std::vector<TextEntry> take_texts() { return std::move(texts_); }

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
  void on_text(std::string const& path, SaveText save, LoadText load) override {
    texts_.push_back({path, std::move(save), std::move(load)});
  }

  MeshShape const& mesh_;
  std::vector<detail::NamedParameter> found_;
  std::vector<TextEntry> texts_;
};

/// Bf16 is made from a float, other types from a double.
template <class T>
using Host = std::conditional_t<std::is_same_v<T, Bf16>, float, T>;

/// Writes the owned elements to `values`, host memory in the local shape. Each depends on the key
/// and its global index only, so threads change no bit.
template <class T>
void draw(Parameter const& parameter, Place const& place, std::uint64_t seed, T* values) {
  detail::LocalRows const rows{parameter.shard(), place};
  Init const init = parameter.traits().init;
  RandomKey const key =
      random_key(seed, RandomPurpose::initial_values, random_site(parameter.name()), 0);
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
      values[start.local + i] = static_cast<T>(static_cast<Host<T>>(init.mean + random));
    }
  }
}

/// Draws on the host, then brings the values to their device.
void initialize(Parameter const& parameter, Place const& place, std::uint64_t seed,
                Stream& stream) {
  Tensor const value = parameter.value();
  Buffer staging;
  void* host = value.raw();
  if (value.device() != kCpu) {
    staging = Buffer{value.bytes(), kCpu};
    host = staging.data();
    std::memset(host, 0, static_cast<std::size_t>(value.bytes()));
  }
  switch (value.dtype()) {
    case DType::bf16:
      draw(parameter, place, seed, static_cast<Bf16*>(host));
      break;
    case DType::f32:
      draw(parameter, place, seed, static_cast<float*>(host));
      break;
    default:
      draw(parameter, place, seed, static_cast<double*>(host));
      break;
  }
  if (value.device() == kCpu) return;
  transfer(Tensor{host, value.shape(), value.dtype(), kCpu}, value, stream);
  stream.synchronize();  // the staging memory ends here
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
  if (dtype != DType::f32 && dtype != DType::f64 && dtype != DType::bf16) {
    throw InvalidArgument(problem("parameters: dtype", name_of(dtype), "bf16, f32, f64", "f32"));
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
  texts_ = collector.take_texts();
  Stream stream{mesh.device()};
  detail::FlatLayout layout = detail::lay_out(visited, mesh.shape(), options_);
  for (std::size_t f = 0; f < layout.flats.size(); ++f) {
    Shape const shape{layout.elements(f)};
    FlatBuffer& flat = layout.flats[f];
    auto const allocate = [&](DType dtype) {
      Buffer const& buffer =
          buffers_.emplace_back(shape.elements() * size_of(dtype), mesh.device());
      Tensor const tensor{buffer.data(), shape, dtype, mesh.device()};
      zero(tensor, stream);
      return tensor;
    };
    flat.values = allocate(options_.dtype);
    flat.gradients = allocate(accumulator_of(options_.dtype));
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
    if (!is_meta(mesh)) initialize(*parameter, mesh.place(), options_.seed, stream);
  }
  stream.synchronize();
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

Deal Parameters::deal(ParameterPlace const& place) const {
  FlatBuffer const& flat = flats_[static_cast<std::size_t>(place.flat)];
  Bucket const& bucket = flat.buckets[static_cast<std::size_t>(place.bucket)];
  return {flat.partial_over, bucket.range.seen_from(place.range.begin)};
}

void Parameters::visit_state(State& state) const {
  for (ParameterPlace const& place : places_) {
    FlatRange const all{0, place.range.elements()};
    state.add_part("model/" + place.parameter->name(), place.parameter->shard(), deal(place), all,
                   place.parameter->value().reshape({all.elements()}));
  }
  visit_texts(state);
}

void Parameters::visit_texts(State& state) const {
  for (TextEntry const& text : texts_) state.add("model/" + text.name, text.save, text.load);
}

void Parameters::zero_gradients(Stream& stream) {
  for (FlatBuffer const& flat : flats_) zero(flat.gradients, stream);
}

std::uint64_t Parameters::hash_values() const {
  Hasher hasher;
  if (is_meta(*mesh_)) return hasher.value();
  for (ParameterPlace const& place : places_) {
    detail::LocalRows const rows{place.parameter->shard(), mesh_->place()};
    Tensor value = place.parameter->value();
    Buffer staging;
    if (value.device() != kCpu) {
      staging = Buffer{value.bytes(), kCpu};
      Tensor const host{staging.data(), value.shape(), value.dtype(), kCpu};
      Stream stream{value.device()};
      transfer(value, host, stream);
      stream.synchronize();
      value = host;
    }
    Size const element_bytes = size_of(value.dtype());
    for (Size row = 0; row < rows.rows(); ++row) {
      hasher.add(static_cast<std::byte const*>(value.raw()) + rows.start(row).local * element_bytes,
                 rows.length() * element_bytes);
    }
  }
  return hasher.value();
}

}  // namespace dsr
