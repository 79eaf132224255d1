// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

#include "dsr/checkpoint/manifest.hpp"
#include "dsr/checkpoint/safetensors.hpp"
#include "dsr/core/bf16.hpp"
#include "dsr/core/error.hpp"
#include "libdsr/checkpoint/json_text.hpp"

namespace dsr {
namespace {

constexpr char const* kModelFile = "model.safetensors";
constexpr char const* kIndexFile = "model.safetensors.index.json";

/// IEEE half precision, exactly.
float from_half(std::uint16_t bits) {
  std::uint32_t const sign = (bits & 0x8000U) << 16U, exponent = bits >> 10U & 0x1FU;
  std::uint32_t const fraction = bits & 0x3FFU;
  if (exponent == 0) {  // subnormal: fraction · 2^-24
    float const value = static_cast<float>(fraction) * 0x1p-24F;
    return sign != 0 ? -value : value;
  }
  std::uint32_t const biased = exponent == 0x1FU ? 0xFFU : exponent + 112U;  // 127 − 15
  return std::bit_cast<float>(sign | biased << 23U | fraction << 13U);
}

/// Reads little-endian elements of type E and converts them.
template <class E, class Convert>
std::vector<float> converted(std::vector<std::byte> const& raw, Convert const& convert) {
  std::vector<float> values(raw.size() / sizeof(E));
  for (std::size_t i = 0; i < values.size(); ++i) {
    E element;
    std::memcpy(&element, raw.data() + i * sizeof(E), sizeof(E));
    values[i] = convert(element);
  }
  return values;
}

std::vector<float> as_f32(std::vector<std::byte> const& raw, std::string const& type) {
  if (type == "F32") return converted<float>(raw, [](float x) { return x; });
  if (type == "F64") return converted<double>(raw, [](double x) { return static_cast<float>(x); });
  if (type == "F16") return converted<std::uint16_t>(raw, from_half);
  return converted<std::uint16_t>(raw, [](std::uint16_t bits) {
    Bf16 value;
    value.bits = bits;
    return static_cast<float>(value);
  });
}

bool plain_file_name(std::string_view name) {
  return plain_name(name) && name.ends_with(".safetensors");
}

}  // namespace

SafetensorsModel::SafetensorsModel(FileSystem& files, std::string directory)
    : files_(&files), directory_(std::move(directory)) {
  std::string const path = directory_ + "/" + kIndexFile;
  if (!files.exists(path)) {
    add_file(kModelFile);
    return;
  }
  nlohmann::json const index = detail::parse_json_file(files, path, kMostSafetensorsHeaderBytes);
  auto const map = index.is_object() ? index.find("weight_map") : index.end();
  if (!index.is_object() || map == index.end() || !map->is_object())
    throw CorruptData(problem(path, "no weight_map", "an object with a weight_map"));
  std::set<std::string> names;
  for (auto const& [tensor, file] : map->items()) {
    if (!file.is_string() || !plain_file_name(file.get_ref<std::string const&>()))
      throw CorruptData(problem(path, "the file " + file.dump() + " of '" + tensor + "'",
                                "a name of letters, digits, '.', '_' and '-' that ends in "
                                ".safetensors"));
    names.insert(file.get<std::string>());
  }
  for (std::string const& name : names) add_file(name);
  for (auto const& [tensor, file] : map->items()) {
    auto const found = tensors_.find(tensor);
    if (found == tensors_.end() || found->second.file != file.get_ref<std::string const&>())
      throw CorruptData(problem(path, "'" + tensor + "' is not in " + file.get<std::string>()));
  }
  for (auto const& [tensor, place] : tensors_) {
    if (!map->contains(tensor))
      throw CorruptData(problem(path, "'" + tensor + "' of " + place.file + " is not listed"));
  }
}

void SafetensorsModel::add_file(std::string const& file) {
  std::string const path = directory_ + "/" + file;
  for (SafetensorsEntry& entry : read_safetensors_header(*files_, path).tensors) {
    std::string const name = entry.name;
    if (!tensors_.emplace(name, Place{file, std::move(entry)}).second)
      throw CorruptData(problem(path, "tensor '" + name + "' is in another file too"));
  }
}

std::vector<float> SafetensorsModel::read_f32(std::string const& name) const {
  auto const found = tensors_.find(name);
  if (found == tensors_.end())
    throw InvalidArgument(problem(directory_, "no tensor '" + name + "'"));
  auto const& [file, entry] = found->second;
  if (entry.type != "F32" && entry.type != "BF16" && entry.type != "F16" && entry.type != "F64") {
    throw InvalidArgument(problem(directory_ + "/" + file, "'" + name + "' of type " + entry.type,
                                  "F32, BF16, F16 or F64"));
  }
  std::vector<std::byte> raw(static_cast<std::size_t>(entry.bytes));
  std::string const path = directory_ + "/" + file;
  Size const got = files_->open(path)->read_at(entry.offset, raw);
  if (got != entry.bytes)
    throw IoError(problem(path, "ends at byte " + std::to_string(entry.offset + got),
                          std::to_string(entry.offset + entry.bytes)));
  return as_f32(raw, entry.type);
}

}  // namespace dsr
