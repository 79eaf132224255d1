// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>

#include "dsr/checkpoint/container.hpp"
#include "dsr/checkpoint/gpt2.hpp"
#include "dsr/checkpoint/hashed_file.hpp"
#include "dsr/checkpoint/rank_file.hpp"
#include "dsr/checkpoint/safetensors.hpp"
#include "dsr/checkpoint/sets.hpp"
#include "dsr/core/error.hpp"
#include "dsr/core/version.hpp"
#include "libdsr/checkpoint/gpt2_names.hpp"
#include "libdsr/checkpoint/json_text.hpp"

namespace dsr {
namespace {

using detail::Gpt2Pair;
using nlohmann::json;

constexpr Size kMostConfigBytes = Size{1} << 20;
constexpr Size kMostOfASize = Size{1} << 30;
constexpr std::string_view kPrefix = "transformer.";

/// config.json, asked key by key.
class Config {
 public:
  Config(FileSystem& files, std::string path)
      : path_(std::move(path)), json_(detail::parse_json_file(files, path_, kMostConfigBytes)) {
    if (!json_.is_object()) throw CorruptData(problem(path_, "no object", "a JSON object"));
  }
  Size size(char const* key) const {
    auto const found = json_.find(key);
    if (found == json_.end()) throw CorruptData(problem(path_, std::string{"no "} + key));
    bool const number = found->is_number_unsigned() || found->is_number_integer();
    if (!number || *found < 1 || *found > kMostOfASize) {
      throw CorruptData(problem(path_, std::string{key} + " = " + found->dump(),
                                "1 to " + std::to_string(kMostOfASize)));
    }
    return found->get<Size>();
  }
  /// Absent and null are the same to GPT-2's configuration.
  Size size_or(char const* key, Size otherwise) const {
    auto const found = json_.find(key);
    return found == json_.end() || found->is_null() ? otherwise : size(key);
  }
  /// `standard` is what an absent key means. Throws InvalidArgument unless the value is allowed.
  void require(char const* key, json const& standard, std::vector<json> const& allowed) const {
    json const value = json_.contains(key) ? json_[key] : standard;
    if (std::ranges::find(allowed, value) != allowed.end()) return;
    std::string list;
    for (json const& one : allowed) list += (list.empty() ? "" : " or ") + one.dump();
    throw InvalidArgument(problem(path_, std::string{key} + " = " + value.dump(), list));
  }
  bool flag_or(char const* key, bool standard) const {
    require(key, standard, {true, false});
    return json_.contains(key) ? json_[key].get<bool>() : standard;
  }

 private:
  std::string path_;
  json json_;
};

Gpt2Sizes read_config(FileSystem& files, std::string const& path) {
  Config const config{files, path};
  config.require("model_type", nullptr, {"gpt2"});
  // One formula under two names; "gelu" is another one, by the error function.
  config.require("activation_function", "gelu_new", {"gelu_new", "gelu_pytorch_tanh"});
  config.require("layer_norm_epsilon", 1e-5, {1e-5});
  config.require("scale_attn_weights", true, {true});
  config.require("scale_attn_by_inverse_layer_idx", false, {false});
  config.require("add_cross_attention", false, {false});
  Gpt2Sizes sizes{.layers = config.size("n_layer"),
                  .hidden = config.size("n_embd"),
                  .heads = config.size("n_head"),
                  .vocabulary = config.size("vocab_size"),
                  .positions = config.size("n_positions")};
  sizes.inner = config.size_or("n_inner", 4 * sizes.hidden);
  if (!config.flag_or("tie_word_embeddings", true)) sizes.head = Gpt2Sizes::Head::own;
  return sizes;
}

/// Masks of attention, which old files keep beside the weights; and a tied head.
bool ignored(std::string_view name, Gpt2Sizes const& sizes) {
  if (name == "lm_head.weight") return sizes.head == Gpt2Sizes::Head::tied;
  return name.starts_with("h.") &&
         (name.ends_with(".attn.bias") || name.ends_with(".attn.masked_bias"));
}

/// Our names → names in the files, of exactly the tensors of the model, in their shapes.
std::map<std::string, std::string> match(SafetensorsModel const& model,
                                         std::vector<Gpt2Pair> const& pairs, Gpt2Sizes const& sizes,
                                         std::string const& directory) {
  std::map<std::string_view, std::string> theirs;
  for (auto const& [name, place] : model.tensors()) {
    std::string_view short_name = name;
    if (short_name.starts_with(kPrefix)) short_name.remove_prefix(kPrefix.size());
    if (ignored(short_name, sizes)) continue;
    if (!theirs.emplace(short_name, name).second)
      throw CorruptData(problem(directory, "'" + name + "' with and without its prefix"));
  }
  std::map<std::string, std::string> found;
  for (Gpt2Pair const& pair : pairs) {
    auto const at = theirs.find(pair.theirs);
    if (at == theirs.end())
      throw CorruptData(problem(directory, "no tensor '" + pair.theirs + "'"));
    Shape const& shape = model.tensors().at(at->second).entry.shape;
    if (shape != pair.their_shape) {
      throw CorruptData(problem(directory, "'" + at->second + "' " + to_string(shape),
                                to_string(pair.their_shape)));
    }
    found.emplace(pair.ours, at->second);
    theirs.erase(at);
  }
  if (!theirs.empty()) {
    throw InvalidArgument(
        problem(directory, "the tensor '" + theirs.begin()->second + "'",
                "those of a GPT-2 with " + std::to_string(sizes.layers) + " layers"));
  }
  return found;
}

/// Writes one container of whole tensors, `values` asked for in the order of the file.
StoredFile write_container(FileSystem& files, std::string const& directory, std::string const& name,
                           Container const& container,
                           std::function<std::vector<float>(std::size_t)> const& values) {
  HashedFile file{files, directory, name, container.bytes()};
  std::map<Size, std::size_t> payload;
  for (std::size_t i = 0; i < container.datasets().size(); ++i)
    payload.emplace(container.datasets()[i].offset, i);
  auto const write_payload_before = [&](Size offset) {
    while (!payload.empty() && payload.begin()->first < offset) {
      auto const [at, index] = *payload.begin();
      std::vector<float> const whole = values(index);
      file.write(at, std::as_bytes(std::span{whole}));
      payload.erase(payload.begin());
    }
  };
  for (Container::Piece const& piece : container.metadata()) {
    write_payload_before(piece.offset);
    file.write(piece.offset, piece.bytes);
  }
  write_payload_before(container.bytes());
  return file.finish();
}

Manifest new_manifest(int generation) {
  Manifest manifest;
  manifest.generation = generation;
  std::ostringstream id;
  std::random_device random;
  id << "import-" << std::hex << random() << random();
  manifest.run_id = id.str();
  manifest.mesh = "dp=1 row=1 col=1";
  manifest.saved_unix =
      std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  manifest.versions["dsr"] = version();
  return manifest;
}

}  // namespace

Imported import_gpt2(FileSystem& files, std::string const& directory, std::string const& tier) {
  Gpt2Sizes const sizes = read_config(files, directory + "/config.json");
  SafetensorsModel const model{files, directory};
  if (sizes.layers > static_cast<Size>(model.tensors().size()))  // before anything is made for each
    throw CorruptData(problem(directory, std::to_string(model.tensors().size()) + " tensors",
                              "those of " + std::to_string(sizes.layers) + " layers"));
  std::vector<Gpt2Pair> const pairs = detail::gpt2_pairs(sizes);
  auto const names = match(model, pairs, sizes, directory);

  std::vector<Dataset> datasets;
  for (Gpt2Pair const& pair : pairs)
    datasets.push_back({.path = slice_path(pair.ours, 0), .shape = pair.our_shape});
  Container const container{datasets};
  make_directories(files, tier);
  Manifest manifest = new_manifest(next_generation(files, tier));
  std::string const set = tier + "/" + to_string(SetName{0, manifest.generation});
  if (!files.make_directory(set)) throw IoError(problem(set, "is there already", "a new set"));
  files.sync_directory(tier);
  auto const values = [&](std::size_t i) {
    return detail::to_ours(pairs[i], model.read_f32(names.at(pairs[i].ours)));
  };
  manifest.files.push_back(write_container(files, set, rank_file_name(0), container, values));
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    Shape const& shape = pairs[i].our_shape;
    std::vector<Size> const zeros(static_cast<std::size_t>(shape.rank()));
    Slice const slice{0,
                      container.datasets()[i].offset,
                      shape.elements() * size_of(DType::f32),
                      {Shape{std::span<Size const>{zeros}}, shape}};
    manifest.tensors.push_back({pairs[i].ours, shape, DType::f32, {slice}});
  }
  manifest.files.push_back(write_view(files, set, manifest));
  files.sync_directory(set);
  commit_manifest(files, set, manifest);
  return {set, sizes};
}

}  // namespace dsr
