// SPDX-License-Identifier: Apache-2.0
#include "dsr/checkpoint/manifest.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <span>
#include <utility>

#include "dsr/checkpoint/hash.hpp"
#include "dsr/core/error.hpp"
#include "libdsr/checkpoint/json_text.hpp"
#include "libdsr/checkpoint/manifest_fault.hpp"

namespace dsr {
namespace {

using detail::in_quotes;
using nlohmann::json;

constexpr std::string_view kFormat = "dsr-checkpoint-1";
constexpr std::string_view kHashKey = "\"manifest_hash\": \"";
constexpr std::string_view kEnd = "\"\n}\n";

/// The text's end, which nothing else may be: all of it is known from what is before.
std::string tail_of(std::string_view body) {
  std::string tail{kHashKey};
  tail += hash_text(std::as_bytes(std::span{body.data(), body.size()}));
  return tail += kEnd;
}

/// A value and where it is, for messages.
class Node {
 public:
  Node(json const& value, std::string const& path, std::string key)
      : value_{&value}, path_{&path}, key_{std::move(key)} {}

  [[noreturn]] void refuse(std::string const& found, std::string const& allowed) const {
    throw CorruptData(problem(*path_ + ": " + (key_.empty() ? "manifest" : key_), found, allowed));
  }
  bool has(std::string_view key) const { return value_->contains(key); }
  /// An object with these keys and no other, but perhaps the optional one.
  void require_keys(std::span<std::string_view const> keys, std::string_view optional = {}) const {
    if (!value_->is_object()) refuse(value_->type_name(), "an object");
    for (std::string_view const key : keys) {
      if (!value_->contains(key)) refuse("no key " + std::string{key}, "all keys");
    }
    for (auto const& [key, value] : value_->items()) {
      if (std::ranges::find(keys, key) == keys.end() && (optional.empty() || key != optional)) {
        refuse("the key " + in_quotes(key), "keys of the format");
      }
    }
  }
  Node operator[](std::string_view key) const {
    return {(*value_)[key], *path_,
            key_.empty() ? std::string{key} : key_ + "." + std::string{key}};
  }
  std::string text() const {
    if (!value_->is_string()) refuse(value_->type_name(), "a text");
    return value_->get_ref<std::string const&>();
  }
  Size integer(Size least, Size most) const {
    bool const fits =
        value_->is_number_integer() &&
        !(value_->is_number_unsigned() &&
          value_->get<std::uint64_t>() > std::uint64_t{std::numeric_limits<Size>::max()}) &&
        value_->get<Size>() >= least && value_->get<Size>() <= most;
    if (!fits) {
      refuse(value_->is_number() ? value_->dump() : value_->type_name(),
             "whole numbers from " + std::to_string(least) + " to " + std::to_string(most));
    }
    return value_->get<Size>();
  }
  double number() const {
    if (!value_->is_number()) refuse(value_->type_name(), "a number");
    return value_->get<double>();
  }
  /// Calls `each` with every element of a list.
  template <class Each>
  void for_each(Each each) const {
    if (!value_->is_array()) refuse(value_->type_name(), "a list");
    for (std::size_t i = 0; i < value_->size(); ++i) {
      each(Node{(*value_)[i], *path_, key_ + "[" + std::to_string(i) + "]"});
    }
  }
  std::map<std::string, std::string> texts() const {
    if (!value_->is_object()) refuse(value_->type_name(), "an object");
    std::map<std::string, std::string> all;
    for (auto const& [key, value] : value_->items()) all[key] = (*this)[key].text();
    return all;
  }

 private:
  json const* value_;
  std::string const* path_;
  std::string key_;
};

constexpr Size kMostSize = std::numeric_limits<Size>::max();

Shape shape_of(Node const& node) {
  std::vector<Size> sizes;
  node.for_each([&](Node const& size) {
    if (sizes.size() == Shape::kMaxRank) size.refuse("one more size", "6 dimensions");
    sizes.push_back(size.integer(0, kMostSize));
  });
  return Shape{std::span<Size const>{sizes}};
}

DType dtype_of(Node const& node) {
  std::string const name = node.text();
  for (DType const type :
       {DType::u8, DType::i32, DType::i64, DType::bf16, DType::f32, DType::f64}) {
    if (name == name_of(type)) return type;
  }
  node.refuse(in_quotes(name), "u8, i32, i64, bf16, f32, f64");
}

/// Sets that have nothing compressed need not say so.
Codec codec_of(Node const& tensor) {
  if (!tensor.has("codec")) return Codec::none;
  std::string const name = tensor["codec"].text();
  for (Codec const codec : {Codec::none, Codec::shuffle_zstd}) {
    if (name == name_of(codec)) return codec;
  }
  tensor["codec"].refuse(in_quotes(name), "none, shuffle-zstd");
}

StoredFile file_of(Node const& node) {
  static constexpr std::array<std::string_view, 4> kKeys{"name", "bytes", "hash", "blocks"};
  node.require_keys(kKeys);
  StoredFile file{.name = node["name"].text(),
                  .bytes = node["bytes"].integer(0, kMostSize),
                  .hash = node["hash"].text(),
                  .blocks = {}};
  node["blocks"].for_each([&](Node const& block) { file.blocks.push_back(block.text()); });
  return file;
}

Slice slice_of(Node const& node) {
  static constexpr std::array<std::string_view, 5> kKeys{"file", "offset", "bytes", "start",
                                                         "count"};
  node.require_keys(kKeys);
  return {.file = static_cast<int>(node["file"].integer(0, std::numeric_limits<int>::max())),
          .offset = node["offset"].integer(0, kMostSize),
          .bytes = node["bytes"].integer(0, kMostSize),
          .box = {shape_of(node["start"]), shape_of(node["count"])}};
}

StoredTensor tensor_of(Node const& node) {
  static constexpr std::array<std::string_view, 4> kKeys{"name", "shape", "dtype", "slices"};
  node.require_keys(kKeys, "codec");
  StoredTensor tensor{.name = node["name"].text(),
                      .shape = shape_of(node["shape"]),
                      .dtype = dtype_of(node["dtype"]),
                      .slices = {},
                      .codec = codec_of(node)};
  node["slices"].for_each([&](Node const& slice) { tensor.slices.push_back(slice_of(slice)); });
  return tensor;
}

Manifest manifest_of(Node const& node) {
  static constexpr std::array<std::string_view, 11> kKeys{
      "format", "step",    "generation", "run_id",   "mesh",         "saved_unix",
      "files",  "tensors", "state",      "versions", "manifest_hash"};
  node.require_keys(kKeys);
  std::string const format = node["format"].text();
  if (format != kFormat) {
    node["format"].refuse(in_quotes(format), in_quotes(kFormat));
  }
  Manifest manifest{.step = node["step"].integer(0, kMostSteps),
                    .generation = static_cast<int>(node["generation"].integer(0, kMostGenerations)),
                    .run_id = node["run_id"].text(),
                    .mesh = node["mesh"].text(),
                    .saved_unix = node["saved_unix"].number(),
                    .files = {},
                    .tensors = {},
                    .state = node["state"].texts(),
                    .versions = node["versions"].texts()};
  node["files"].for_each([&](Node const& file) { manifest.files.push_back(file_of(file)); });
  node["tensors"].for_each([&](Node const& one) { manifest.tensors.push_back(tensor_of(one)); });
  return manifest;
}

nlohmann::ordered_json to_json(StoredFile const& file) {
  return {{"name", file.name}, {"bytes", file.bytes}, {"hash", file.hash}, {"blocks", file.blocks}};
}

std::vector<Size> sizes_of(Shape const& shape) { return {shape.begin(), shape.end()}; }

nlohmann::ordered_json to_json(StoredTensor const& tensor) {
  nlohmann::ordered_json slices = nlohmann::ordered_json::array();
  for (Slice const& slice : tensor.slices) {
    slices.push_back({{"file", slice.file},
                      {"offset", slice.offset},
                      {"bytes", slice.bytes},
                      {"start", sizes_of(slice.box.begin)},
                      {"count", sizes_of(slice.box.count)}});
  }
  nlohmann::ordered_json object{{"name", tensor.name},
                                {"shape", sizes_of(tensor.shape)},
                                {"dtype", name_of(tensor.dtype)}};
  if (tensor.codec != Codec::none) object["codec"] = name_of(tensor.codec);
  object["slices"] = std::move(slices);
  return object;
}

/// "key": [ one element a line ],
template <class Element>
std::string list_text(std::string_view key, std::vector<Element> const& elements) {
  std::string text = in_quotes(key) + ": [";
  for (std::size_t i = 0; i < elements.size(); ++i) {
    text += i == 0 ? "\n" : ",\n";
    text += to_json(elements[i]).dump();
  }
  return text += elements.empty() ? "],\n" : "\n],\n";
}

std::string body_text(Manifest const& manifest) {
  auto const line = [](std::string_view key, json const& value) {
    return in_quotes(key) + ": " + value.dump() + ",\n";
  };
  return "{\n" + line("format", kFormat) + line("step", manifest.step) +
         line("generation", manifest.generation) + line("run_id", manifest.run_id) +
         line("mesh", manifest.mesh) + line("saved_unix", manifest.saved_unix) +
         list_text("files", manifest.files) + list_text("tensors", manifest.tensors) +
         line("state", manifest.state) + line("versions", manifest.versions);
}

}  // namespace

std::string to_text(Manifest const& manifest) {
  std::string const fault = detail::fault_of(manifest);
  if (!fault.empty()) throw InvalidArgument(problem("manifest", fault));
  std::string text;
  try {
    text = body_text(manifest);
  } catch (json::exception const&) {
    throw InvalidArgument(problem("manifest", "a text that is not UTF-8", "UTF-8"));
  }
  text += tail_of(text);
  if (std::ssize(text) > kManifestMost_bytes) {
    throw InvalidArgument(problem("manifest", std::to_string(text.size()) + " bytes",
                                  std::to_string(kManifestMost_bytes)));
  }
  return text;
}

Manifest parse_manifest(std::string_view text, std::string const& path) {
  std::size_t const tail = kHashKey.size() + 32 + kEnd.size();
  if (text.size() < tail) {
    throw CorruptData(problem(path + ": manifest_hash", "the text ends early", "a whole manifest"));
  }
  if (std::ssize(text) > kManifestMost_bytes) {
    throw CorruptData(
        problem(path, std::to_string(text.size()) + " bytes", std::to_string(kManifestMost_bytes)));
  }
  std::string_view const body = text.substr(0, text.size() - tail);
  if (text.substr(body.size()) != tail_of(body)) {
    throw CorruptData(problem(path + ": manifest_hash", "another one, or no end",
                              "the hash of all that is before it"));
  }
  json const value = detail::parse_json(text, path);
  Manifest manifest = manifest_of(Node{value, path, ""});
  std::string const fault = detail::fault_of(manifest);
  if (!fault.empty()) throw CorruptData(problem(path, fault));
  return manifest;
}

}  // namespace dsr
