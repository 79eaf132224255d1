// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "dsr/checkpoint/rank_file.hpp"
#include "dsr/core/error.hpp"

namespace dsr {
namespace {

using Json = nlohmann::json;

Json to_json(Shape const& shape) { return std::vector<Size>(shape.begin(), shape.end()); }

Shape shape_of(Json const& json) {
  auto const sizes = json.get<std::vector<Size>>();
  return Shape{std::span<Size const>{sizes}};
}

Json to_json(StoredTensor const& tensor) {
  Json slices = Json::array();
  for (Slice const& slice : tensor.slices)
    slices.push_back(
        {slice.offset, slice.bytes, to_json(slice.box.begin), to_json(slice.box.count)});
  return {tensor.name, to_json(tensor.shape), static_cast<int>(tensor.dtype), slices,
          static_cast<int>(tensor.codec)};
}

StoredTensor tensor_of(Json const& json) {
  StoredTensor tensor{json.at(0).get<std::string>(),
                      shape_of(json.at(1)),
                      static_cast<DType>(json.at(2).get<int>()),
                      {},
                      static_cast<Codec>(json.at(4).get<int>())};
  for (Json const& slice : json.at(3)) {
    tensor.slices.push_back({.file = 0,
                             .offset = slice.at(0).get<Size>(),
                             .bytes = slice.at(1).get<Size>(),
                             .box = {shape_of(slice.at(2)), shape_of(slice.at(3))}});
  }
  return tensor;
}

}  // namespace

std::string to_text(RankReport const& report) {
  Json tensors = Json::array();
  for (StoredTensor const& tensor : report.tensors) tensors.push_back(to_json(tensor));
  StoredFile const& file = report.file;
  return Json{file.name, file.bytes, file.hash, file.blocks, tensors}.dump();
}

RankReport parse_report(std::string const& text) {
  try {
    Json const json = Json::parse(text);
    RankReport report{{json.at(0).get<std::string>(), json.at(1).get<Size>(),
                       json.at(2).get<std::string>(), json.at(3).get<std::vector<std::string>>()},
                      {}};
    for (Json const& tensor : json.at(4)) report.tensors.push_back(tensor_of(tensor));
    return report;
  } catch (Json::exception const& error) {
    throw CorruptData(
        problem("checkpoint: a rank's report", error.what(), "what write_rank_file gives"));
  }
}

}  // namespace dsr
