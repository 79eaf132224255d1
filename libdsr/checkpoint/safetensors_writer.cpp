// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "dsr/checkpoint/safetensors.hpp"
#include "dsr/checkpoint/sets.hpp"
#include "dsr/core/bf16.hpp"
#include "dsr/core/error.hpp"

namespace dsr {
namespace {

/// Keys in the order of writing, which is that of the data.
using OrderedJson = nlohmann::ordered_json;

struct Shard {
  std::string name;
  std::size_t begin = 0, end = 0;  ///< of the tensors
};

Size bytes_of(SafetensorsOutput const& tensor, DType type) {
  return tensor.shape.elements() * size_of(type);
}

/// Whole tensors in order, a new file where the next would not fit.
std::vector<Shard> divide(std::vector<SafetensorsOutput> const& tensors, DType type,
                          Size most_bytes) {
  std::vector<Shard> shards{{}};
  Size bytes = 0;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    Size const more = bytes_of(tensors[i], type);
    if (bytes > 0 && bytes + more > most_bytes) {
      shards.push_back({"", i, i});
      bytes = 0;
    }
    shards.back().end = i + 1;
    bytes += more;
  }
  auto const padded = [](std::size_t number) {
    std::string const text = std::to_string(number);
    return std::string(5 - std::min<std::size_t>(5, text.size()), '0') + text;
  };
  for (std::size_t i = 0; i < shards.size(); ++i) {
    shards[i].name = shards.size() == 1 ? "model.safetensors"
                                        : "model-" + padded(i + 1) + "-of-" +
                                              padded(shards.size()) + ".safetensors";
  }
  return shards;
}

/// Length and JSON, with blanks at the end so that the data begins at a multiple of 8.
std::string header_of(Shard const& shard, std::vector<SafetensorsOutput> const& tensors,
                      DType type) {
  OrderedJson json;
  json["__metadata__"] = {{"format", "pt"}};  // what readers in Python ask for
  Size at = 0;
  for (std::size_t i = shard.begin; i < shard.end; ++i) {
    Size const end = at + bytes_of(tensors[i], type);
    json[tensors[i].name] = {
        {"dtype", type == DType::bf16 ? "BF16" : "F32"},
        {"shape", std::vector<Size>(tensors[i].shape.begin(), tensors[i].shape.end())},
        {"data_offsets", {at, end}}};
    at = end;
  }
  std::string text = json.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  std::string length(8, '\0');
  for (std::size_t i = 0; i < length.size(); ++i)
    length[i] = static_cast<char>(text.size() >> (8 * i) & 0xFFU);
  return length + text;
}

void write_values(File& file, Size offset, std::vector<float> const& values, DType type) {
  if (type == DType::f32) {
    file.write_at(offset, std::as_bytes(std::span{values}));
    return;
  }
  std::vector<Bf16> rounded(values.size());
  std::ranges::transform(values, rounded.begin(), [](float value) { return Bf16{value}; });
  file.write_at(offset, std::as_bytes(std::span{rounded}));
}

}  // namespace

void write_safetensors(FileSystem& files, std::string const& directory,
                       std::vector<SafetensorsOutput> const& tensors, DType type, Size most_bytes,
                       std::function<std::vector<float>(std::size_t)> const& values) {
  if (type != DType::f32 && type != DType::bf16)
    throw InvalidArgument(problem("dtype", name_of(type), "f32 or bf16"));
  if (most_bytes < 1)
    throw InvalidArgument(problem("bytes of a file", std::to_string(most_bytes), "at least 1"));
  make_directories(files, directory);
  std::vector<Shard> const shards = divide(tensors, type, most_bytes);
  OrderedJson map = OrderedJson::object();
  Size total = 0;
  for (Shard const& shard : shards) {
    std::unique_ptr<File> const file = files.create(directory + "/" + shard.name);
    std::string const header = header_of(shard, tensors, type);
    file->write_at(0, std::as_bytes(std::span{header}));
    Size at = static_cast<Size>(header.size());
    for (std::size_t i = shard.begin; i < shard.end; ++i) {
      write_values(*file, at, values(i), type);
      at += bytes_of(tensors[i], type);
      total += bytes_of(tensors[i], type);
      map[tensors[i].name] = shard.name;
    }
    file->sync_data();
    file->close();
  }
  if (shards.size() > 1) {
    OrderedJson const index{{"metadata", {{"total_size", total}}}, {"weight_map", map}};
    write_durably(files, directory + "/model.safetensors.index.json", index.dump(2) + "\n");
  }
  files.sync_directory(directory);
}

}  // namespace dsr
