// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>

#include "dsr/checkpoint/gpt2.hpp"
#include "dsr/checkpoint/rank_file.hpp"
#include "dsr/checkpoint/safetensors.hpp"
#include "dsr/checkpoint/sets.hpp"
#include "dsr/core/bf16.hpp"
#include "dsr/core/error.hpp"
#include "libdsr/checkpoint/gpt2_names.hpp"

namespace dsr {
namespace {

using detail::Gpt2Pair;
using detail::Presence;
using Stored = std::map<std::string, StoredTensor const*>;

constexpr char const* kAllowed = "the parameters of a GPT-2";

Stored model_tensors(Manifest const& manifest) {
  Stored found;
  for (StoredTensor const& tensor : manifest.tensors) {
    if (tensor.name.starts_with("model/")) found.emplace(tensor.name, &tensor);
  }
  return found;
}

Shape shape_of(Stored const& stored, std::string const& name, int rank) {
  auto const found = stored.find(name);
  if (found == stored.end()) throw InvalidArgument(problem("export", "no " + name, kAllowed));
  Shape const& shape = found->second->shape;
  if (shape.rank() != rank) {
    throw InvalidArgument(
        problem("export", name + " " + to_string(shape), std::to_string(rank) + " dimensions"));
  }
  return shape;
}

/// Sizes as a few tensors have them; the others are compared with what follows from these.
Gpt2Sizes sizes_of(Stored const& stored) {
  Shape const tokens = shape_of(stored, "model/embedding/tokens/weight", 2);
  Shape const positions = shape_of(stored, "model/embedding/positions/weight", 2);
  Shape const qkv = shape_of(stored, "model/blocks/0/attention/qkv/weight", 4);
  Shape const up = shape_of(stored, "model/blocks/0/ffn/up/weight", 2);
  if (qkv[1] != 3) {
    throw InvalidArgument(problem("export",
                                  "key-value groups of " + std::to_string(qkv[1] - 2) + " heads",
                                  "groups of one head"));
  }
  Gpt2Sizes sizes{.hidden = tokens[1],
                  .heads = qkv[0],
                  .inner = up[0],
                  .vocabulary = tokens[0],
                  .positions = positions[0]};
  while (stored.contains("model/blocks/" + std::to_string(sizes.layers) + "/norm1/gamma"))
    ++sizes.layers;
  if (stored.contains("model/head/weight")) sizes.head = Gpt2Sizes::Head::own;
  return sizes;
}

void require_same(std::vector<Gpt2Pair> const& pairs, Stored const& stored) {
  std::size_t known = 0;
  for (Gpt2Pair const& pair : pairs) {
    auto const found = stored.find(pair.ours);
    if (found == stored.end()) {
      if (pair.presence == Presence::may_be_zero) continue;
      throw InvalidArgument(problem("export", "no " + pair.ours, kAllowed));
    }
    ++known;
    if (found->second->shape != pair.our_shape) {
      throw InvalidArgument(problem("export", pair.ours + " " + to_string(found->second->shape),
                                    to_string(pair.our_shape)));
    }
  }
  if (known == stored.size()) return;
  for (auto const& [name, tensor] : stored) {
    if (std::ranges::find(pairs, name, &Gpt2Pair::ours) == pairs.end())
      throw InvalidArgument(problem("export", name, kAllowed));
  }
}

template <class E>
std::vector<float> values_of(std::vector<std::byte> const& raw) {
  std::vector<float> values(raw.size() / sizeof(E));
  for (std::size_t i = 0; i < values.size(); ++i) {
    E element;
    std::memcpy(&element, raw.data() + i * sizeof(E), sizeof(E));
    values[i] = static_cast<float>(element);
  }
  return values;
}

/// A whole tensor, row-major, put together from its slices.
std::vector<float> read_whole(FileSystem& files, std::string const& directory,
                              Manifest const& manifest, StoredTensor const& tensor) {
  std::vector<Size> const zeros(static_cast<std::size_t>(tensor.shape.rank()));
  std::vector<std::byte> raw(
      static_cast<std::size_t>(tensor.shape.elements() * size_of(tensor.dtype)));
  Box const all{Shape{std::span<Size const>{zeros}}, tensor.shape};
  read_part(files, directory, manifest, tensor, all, raw);
  switch (tensor.dtype) {
    case DType::f32:
      return values_of<float>(raw);
    case DType::f64:
      return values_of<double>(raw);
    case DType::bf16:
      return values_of<Bf16>(raw);
    default:
      break;
  }
  throw InvalidArgument(
      problem(tensor.name, "type " + std::string{name_of(tensor.dtype)}, "f32, f64 or bf16"));
}

/// Dropout is a setting of training, not of the weights: it is off.
std::string config_text(Gpt2Sizes const& sizes, DType dtype) {
  nlohmann::ordered_json const config{
      {"model_type", "gpt2"},
      {"architectures", {"GPT2LMHeadModel"}},
      {"activation_function", "gelu_new"},
      {"n_layer", sizes.layers},
      {"n_embd", sizes.hidden},
      {"n_head", sizes.heads},
      {"n_inner", sizes.inner},
      {"n_positions", sizes.positions},
      {"n_ctx", sizes.positions},
      {"vocab_size", sizes.vocabulary},
      {"layer_norm_epsilon", 1e-5},
      {"scale_attn_weights", true},
      {"scale_attn_by_inverse_layer_idx", false},
      {"add_cross_attention", false},
      {"tie_word_embeddings", sizes.head == Gpt2Sizes::Head::tied},
      {"embd_pdrop", 0.0},
      {"resid_pdrop", 0.0},
      {"attn_pdrop", 0.0},
      {"bos_token_id", nullptr},
      {"eos_token_id", nullptr},
      {"torch_dtype", dtype == DType::bf16 ? "bfloat16" : "float32"}};
  return config.dump(2) + "\n";
}

}  // namespace

Gpt2Sizes export_gpt2(FileSystem& files, std::string const& set_directory, Manifest const& manifest,
                      std::string const& directory, ExportOptions const& options) {
  Stored const stored = model_tensors(manifest);
  Gpt2Sizes const sizes = sizes_of(stored);
  std::vector<Gpt2Pair> const pairs = detail::gpt2_pairs(sizes);
  require_same(pairs, stored);
  std::vector<SafetensorsOutput> outputs;
  for (Gpt2Pair const& pair : pairs) outputs.push_back({detail::full_name(pair), pair.their_shape});
  auto const values = [&](std::size_t i) {
    auto const found = stored.find(pairs[i].ours);
    if (found == stored.end())
      return std::vector<float>(static_cast<std::size_t>(pairs[i].our_shape.elements()));
    return detail::to_theirs(pairs[i], read_whole(files, set_directory, manifest, *found->second));
  };
  write_safetensors(files, directory, outputs, options.dtype, options.shard_bytes, values);
  write_durably(files, directory + "/config.json", config_text(sizes, options.dtype));
  files.sync_directory(directory);
  return sizes;
}

}  // namespace dsr
