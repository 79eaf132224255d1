// SPDX-License-Identifier: Apache-2.0
#include "dsr/checkpoint/gpt2.hpp"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "dsr/checkpoint/cold_file.hpp"
#include "dsr/checkpoint/rank_file.hpp"
#include "dsr/checkpoint/safetensors.hpp"
#include "dsr/checkpoint/sets.hpp"
#include "dsr/core/bf16.hpp"
#include "dsr/core/error.hpp"
#include "io/temporary_directory.hpp"
#include "support/catch.hpp"

using namespace dsr;
using namespace dsr::test;
using nlohmann::json;

namespace {

constexpr Size kLayers = 2, kHidden = 6, kHeads = 3, kInner = 10, kVocabulary = 7, kPositions = 5;
constexpr Size kHeadSize = kHidden / kHeads;

/// What a GPT2LMHeadModel of these sizes saves, as its own documentation lists it.
std::vector<SafetensorsOutput> their_tensors() {
  std::vector<SafetensorsOutput> all{{"transformer.wte.weight", {kVocabulary, kHidden}},
                                     {"transformer.wpe.weight", {kPositions, kHidden}}};
  for (Size i = 0; i < kLayers; ++i) {
    std::string const h = "transformer.h." + std::to_string(i) + ".";
    all.push_back({h + "ln_1.weight", {kHidden}});
    all.push_back({h + "ln_1.bias", {kHidden}});
    all.push_back({h + "attn.c_attn.weight", {kHidden, 3 * kHidden}});
    all.push_back({h + "attn.c_attn.bias", {3 * kHidden}});
    all.push_back({h + "attn.c_proj.weight", {kHidden, kHidden}});
    all.push_back({h + "attn.c_proj.bias", {kHidden}});
    all.push_back({h + "ln_2.weight", {kHidden}});
    all.push_back({h + "ln_2.bias", {kHidden}});
    all.push_back({h + "mlp.c_fc.weight", {kHidden, kInner}});
    all.push_back({h + "mlp.c_fc.bias", {kInner}});
    all.push_back({h + "mlp.c_proj.weight", {kInner, kHidden}});
    all.push_back({h + "mlp.c_proj.bias", {kHidden}});
  }
  all.push_back({"transformer.ln_f.weight", {kHidden}});
  all.push_back({"transformer.ln_f.bias", {kHidden}});
  return all;
}

/// Element j of tensor i: no two elements of the model are equal.
float their_value(std::size_t i, Size j) {
  return static_cast<float>(1000 * i) + static_cast<float>(j);
}

std::vector<float> their_values(std::vector<SafetensorsOutput> const& all, std::size_t i) {
  std::vector<float> values(static_cast<std::size_t>(all[i].shape.elements()));
  for (std::size_t j = 0; j < values.size(); ++j) values[j] = their_value(i, static_cast<Size>(j));
  return values;
}

json their_config() {
  return {{"model_type", "gpt2"},      {"n_layer", kLayers},         {"n_embd", kHidden},
          {"n_head", kHeads},          {"n_inner", kInner},          {"vocab_size", kVocabulary},
          {"n_positions", kPositions}, {"layer_norm_epsilon", 1e-5}, {"resid_pdrop", 0.1}};
}

void write_theirs(std::string const& directory, std::vector<SafetensorsOutput> const& all,
                  json const& config) {
  make_directories(system_files(), directory);
  write_safetensors(system_files(), directory, all, DType::f32, 1000,
                    [&](std::size_t i) { return their_values(all, i); });
  std::ofstream(directory + "/config.json") << config.dump();
}

/// A whole tensor of a set.
std::vector<float> ours(std::string const& set, std::string const& name, Shape const& shape) {
  Manifest const manifest = read_manifest(system_files(), set);
  auto const found = std::ranges::find(manifest.tensors, name, &StoredTensor::name);
  REQUIRE(found != manifest.tensors.end());
  REQUIRE(found->shape == shape);
  REQUIRE(found->dtype == DType::f32);
  std::vector<Size> const zeros(static_cast<std::size_t>(shape.rank()));
  std::vector<float> values(static_cast<std::size_t>(shape.elements()));
  read_part(system_files(), set, manifest, *found, {Shape{std::span<Size const>{zeros}}, shape},
            std::as_writable_bytes(std::span{values}));
  return values;
}

std::size_t place_of(std::vector<SafetensorsOutput> const& all, std::string const& name) {
  auto const found = std::ranges::find(all, "transformer." + name, &SafetensorsOutput::name);
  REQUIRE(found != all.end());
  return static_cast<std::size_t>(found - all.begin());
}

void check_same_values(std::string const& directory, std::vector<SafetensorsOutput> const& all) {
  SafetensorsModel const model{system_files(), directory};
  CHECK(model.tensors().size() == all.size());
  for (std::size_t i = 0; i < all.size(); ++i) {
    INFO(all[i].name);
    REQUIRE(model.tensors().contains(all[i].name));
    CHECK(model.tensors().at(all[i].name).entry.shape == all[i].shape);
    CHECK(model.read_f32(all[i].name) == their_values(all, i));
  }
}

/// The same tensors as two ranks would store them: each cut in two over its first or last
/// dimension.
Manifest cut_in_two(std::string const& set, std::string const& directory) {
  Manifest const whole = read_manifest(system_files(), set);
  std::vector<std::vector<float>> memory;
  std::vector<std::vector<HostPiece>> pieces(2);
  for (std::size_t t = 0; t < whole.tensors.size(); ++t) {
    StoredTensor const& tensor = whole.tensors[t];
    int const dim = t % 2 == 0 ? 0 : tensor.shape.rank() - 1;
    Size const half = tensor.shape[dim] / 2;
    std::vector<Size> const zeros(static_cast<std::size_t>(tensor.shape.rank()));
    Shape const zero{std::span<Size const>{zeros}};
    Box const parts[2] = {{zero, tensor.shape.with(dim, half)},
                          {zero.with(dim, half), tensor.shape.with(dim, tensor.shape[dim] - half)}};
    for (std::size_t rank = 0; rank < 2; ++rank) {
      memory.emplace_back(static_cast<std::size_t>(parts[rank].elements()));
      auto const bytes = std::as_writable_bytes(std::span{memory.back()});
      read_part(system_files(), set, whole, tensor, parts[rank], bytes);
      pieces[(rank + t) % 2].push_back({tensor.name, tensor.shape, DType::f32, parts[rank], bytes});
    }
  }
  make_directories(system_files(), directory);
  std::vector<RankReport> reports;
  for (int rank = 0; rank < 2; ++rank)
    reports.push_back(
        write_rank_file(system_files(), directory, rank, pieces[static_cast<std::size_t>(rank)]));
  Manifest manifest = merge_reports(reports);
  manifest.run_id = "cut";
  manifest.mesh = "dp=2 row=1 col=1";
  return manifest;
}

}  // namespace

TEST_CASE("GPT-2's tensors come to where dsr's layers have them") {
  TemporaryDirectory const directory;
  auto const all = their_tensors();
  write_theirs(directory / "gpt2", all, their_config());
  Imported const imported = import_gpt2(system_files(), directory / "gpt2", directory / "tier");
  CHECK(imported.directory == directory / "tier/step_000000000.g001");
  CHECK(imported.sizes.inner == kInner);
  CHECK(imported.sizes.head == Gpt2Sizes::Head::tied);
  auto const sets = find_sets(system_files(), directory / "tier");
  REQUIRE(sets.size() == 1);
  REQUIRE(sets[0].committed);
  CHECK(verify_set(system_files(), sets[0].directory, *sets[0].manifest).empty());
  std::string const& set = imported.directory;

  CHECK(ours(set, "model/embedding/tokens/weight", {kVocabulary, kHidden}) == their_values(all, 0));
  CHECK(ours(set, "model/norm/beta", {kHidden}) == their_values(all, place_of(all, "ln_f.bias")));
  // h·c_fc = up·h: [in, out] against [out, in].
  auto const up = ours(set, "model/blocks/1/ffn/up/weight", {kInner, kHidden});
  std::size_t const c_fc = place_of(all, "h.1.mlp.c_fc.weight");
  for (Size o = 0; o < kInner; ++o)
    for (Size i = 0; i < kHidden; ++i)
      CHECK(up[static_cast<std::size_t>(o * kHidden + i)] == their_value(c_fc, i * kInner + o));
  // GPT-2 splits the last dimension into q, k and v, and each of them into heads.
  auto const qkv =
      ours(set, "model/blocks/0/attention/qkv/weight", {kHeads, 3, kHeadSize, kHidden});
  auto const bias = ours(set, "model/blocks/0/attention/qkv/bias", {kHeads, 3, kHeadSize});
  std::size_t const c_attn = place_of(all, "h.0.attn.c_attn.weight");
  std::size_t at = 0;
  for (Size head = 0; head < kHeads; ++head)
    for (Size part = 0; part < 3; ++part)
      for (Size d = 0; d < kHeadSize; ++d) {
        Size const column = part * kHidden + head * kHeadSize + d;
        CHECK(bias[at / kHidden] == their_value(c_attn + 1, column));
        for (Size i = 0; i < kHidden; ++i)
          CHECK(qkv[at++] == their_value(c_attn, i * 3 * kHidden + column));
      }
}

TEST_CASE("Import and export are each other's inverse, on any cut") {
  TemporaryDirectory const directory;
  auto const all = their_tensors();
  write_theirs(directory / "gpt2", all, their_config());
  std::string const set =
      import_gpt2(system_files(), directory / "gpt2", directory / "tier").directory;
  Manifest const manifest = read_manifest(system_files(), set);
  export_gpt2(system_files(), set, manifest, directory / "out", {.shard_bytes = 500});
  check_same_values(directory / "out", all);
  json const config = json::parse(slurp(directory / "out/config.json"));
  json const expected = their_config();
  for (auto const& [key, value] : expected.items()) {
    if (key != "resid_pdrop") CHECK(config.at(key) == value);
  }
  CHECK(config.at("activation_function") == "gelu_new");
  CHECK(config.at("tie_word_embeddings") == true);

  Manifest const cut = cut_in_two(set, directory / "cut");
  export_gpt2(system_files(), directory / "cut", cut, directory / "out2");
  check_same_values(directory / "out2", all);
  CHECK(import_gpt2(system_files(), directory / "out2", directory / "tier").directory ==
        directory / "tier/step_000000000.g002");
  CHECK_THROWS_AS(export_gpt2(system_files(), set, manifest, directory / "out"), IoError);
}

TEST_CASE("A cold set is copied and exported, in bf16 and in f32") {
  TemporaryDirectory const directory;
  auto const all = their_tensors();
  write_theirs(directory / "gpt2", all, their_config());
  std::string const set =
      import_gpt2(system_files(), directory / "gpt2", directory / "tier").directory;
  system_files().make_directory(directory / "cold");
  StoredPieces source{system_files(), set, report_of(read_manifest(system_files(), set), 0),
                      ColdContent::weights};
  Manifest cold = merge_reports(
      {write_cold_file(system_files(), directory / "cold", 0, source.pieces(), source)});
  commit_manifest(system_files(), directory / "cold", cold);
  std::string const copy = copy_set(system_files(), directory / "cold", cold, directory / "final");
  CHECK(verify_set(system_files(), copy, cold).empty());
  for (DType const dtype : {DType::bf16, DType::f32}) {
    std::string const out = directory / std::string{name_of(dtype)};
    export_gpt2(system_files(), copy, cold, out, {.dtype = dtype});
    SafetensorsModel const model{system_files(), out};
    for (std::size_t i = 0; i < all.size(); ++i) {
      std::vector<float> expected = their_values(all, i);
      for (float& value : expected) value = static_cast<float>(Bf16{value});
      CHECK(model.read_f32(all[i].name) == expected);
    }
  }
}

TEST_CASE("Names without the prefix, old masks and a tied head's copy are taken") {
  TemporaryDirectory const directory;
  auto all = their_tensors();
  for (auto& tensor : all) tensor.name = tensor.name.substr(std::string{"transformer."}.size());
  all.push_back({"h.0.attn.bias", {1, 1, kPositions, kPositions}});
  all.push_back({"h.1.attn.masked_bias", {}});
  all.push_back({"lm_head.weight", {kVocabulary, kHidden}});
  write_theirs(directory / "gpt2", all, their_config());
  auto const tied = import_gpt2(system_files(), directory / "gpt2", directory / "tier");
  CHECK(read_manifest(system_files(), tied.directory).tensors.size() == their_tensors().size());

  json config = their_config();
  config["tie_word_embeddings"] = false;
  config["n_inner"] = nullptr;
  std::ofstream(directory / "gpt2/config.json") << config.dump();
  CHECK(contains(message_of<CorruptData>(
                     [&] { import_gpt2(system_files(), directory / "gpt2", directory / "tier"); }),
                 "[6, 24]"));  // four times hidden
  config["n_inner"] = kInner;
  std::ofstream(directory / "gpt2/config.json") << config.dump();
  auto const own = import_gpt2(system_files(), directory / "gpt2", directory / "tier");
  CHECK(ours(own.directory, "model/head/weight", {kVocabulary, kHidden}) ==
        their_values(all, all.size() - 1));
  Manifest const manifest = read_manifest(system_files(), own.directory);
  export_gpt2(system_files(), own.directory, manifest, directory / "out");
  SafetensorsModel const out{system_files(), directory / "out"};
  CHECK(out.read_f32("lm_head.weight") == their_values(all, all.size() - 1));
  CHECK(json::parse(slurp(directory / "out/config.json"))["tie_word_embeddings"] == false);
}

TEST_CASE("A model that dsr does not compute is refused by key") {
  TemporaryDirectory const directory;
  write_theirs(directory / "gpt2", their_tensors(), their_config());
  auto const with = [&](char const* key, json const& value) {
    json config = their_config();
    config[key] = value;
    std::ofstream(directory / "gpt2/config.json") << config.dump();
    return message_of<Error>(
        [&] { import_gpt2(system_files(), directory / "gpt2", directory / "tier"); });
  };
  auto const bad = [&](char const* key, json const& value) {
    INFO(key << " = " << value.dump());
    CHECK(contains(with(key, value), key));
  };
  bad("model_type", "llama");
  bad("activation_function", "gelu");
  bad("layer_norm_epsilon", 1e-6);
  bad("scale_attn_weights", false);
  bad("scale_attn_by_inverse_layer_idx", true);
  bad("add_cross_attention", true);
  bad("tie_word_embeddings", "yes");
  bad("n_layer", 0);
  bad("n_layer", -1);
  bad("n_layer", "2");
  bad("n_embd", 1e300);
  bad("n_embd", 4'000'000'000);
  bad("n_head", 4);
  CHECK(contains(with("n_layer", 1'000'000), "1000000 layers"));
  CHECK(contains(with("n_layer", 3), "h.2.ln_1.weight"));
  CHECK(contains(with("n_layer", 1), "transformer.h.1."));
  CHECK(contains(with("vocab_size", 8), "[8, 6]"));
  std::ofstream(directory / "gpt2/config.json") << "[]";
  CHECK_THROWS_AS(import_gpt2(system_files(), directory / "gpt2", directory / "tier"), CorruptData);
  CHECK_FALSE(system_files().exists(directory / "tier"));  // refused before anything is written
}

TEST_CASE("A set that is no GPT-2 is refused by name") {
  TemporaryDirectory const directory;
  write_theirs(directory / "gpt2", their_tensors(), their_config());
  std::string const set =
      import_gpt2(system_files(), directory / "gpt2", directory / "tier").directory;
  Manifest const good = read_manifest(system_files(), set);
  auto const refused = [&](auto const& change) {
    Manifest manifest = good;
    change(manifest.tensors);
    return message_of<InvalidArgument>(
        [&] { export_gpt2(system_files(), set, manifest, directory / "out"); });
  };
  auto const named = [](std::vector<StoredTensor>& tensors, std::string const& name) {
    return std::ranges::find(tensors, name, &StoredTensor::name);
  };
  std::string const qkv = "model/blocks/0/attention/qkv/weight";
  CHECK(contains(refused([](auto& tensors) { tensors.clear(); }), "model/embedding/tokens/weight"));
  CHECK(contains(refused([&](auto& tensors) {
                   named(tensors, qkv)->shape = {3, 4, 2, 6};
                 }),
                 "groups of 2 heads"));
  CHECK(contains(refused([&](auto& tensors) { named(tensors, qkv)->shape = {18, 6}; }), qkv));
  CHECK(contains(refused([&](auto& tensors) {
                   named(tensors, "model/blocks/1/ffn/down/weight")->shape = {10, 6};
                 }),
                 "[10, 6], allowed [6, 10]"));
  CHECK(contains(
      refused([&](auto& tensors) { tensors.erase(named(tensors, "model/blocks/1/norm2/gamma")); }),
      "no model/blocks/1/norm2/gamma"));
  CHECK(contains(refused([&](auto& tensors) {
                   tensors.push_back(tensors.front());
                   tensors.back().name = "model/blocks/0/router/weight";
                 }),
                 "model/blocks/0/router/weight"));
  CHECK_FALSE(system_files().exists(directory / "out"));
}

TEST_CASE("A model without biases gets zeros, and optimizer state is left out") {
  TemporaryDirectory const directory;
  write_theirs(directory / "gpt2", their_tensors(), their_config());
  std::string const set =
      import_gpt2(system_files(), directory / "gpt2", directory / "tier").directory;
  Manifest manifest = read_manifest(system_files(), set);
  manifest.tensors.push_back(manifest.tensors.front());
  manifest.tensors.back().name = "optimizer/m/embedding/tokens/weight";
  std::erase_if(manifest.tensors, [](StoredTensor const& tensor) {
    return tensor.name.ends_with("/bias") || tensor.name.ends_with("/beta");
  });
  export_gpt2(system_files(), set, manifest, directory / "out", {.dtype = DType::bf16});
  SafetensorsModel const out{system_files(), directory / "out"};
  CHECK(out.tensors().size() == their_tensors().size());
  CHECK(out.read_f32("transformer.h.0.attn.c_attn.bias") == std::vector<float>(3 * kHidden));
  CHECK(out.tensors().at("transformer.wte.weight").entry.type == "BF16");
  CHECK(json::parse(slurp(directory / "out/config.json"))["torch_dtype"] == "bfloat16");
}
