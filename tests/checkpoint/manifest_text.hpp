// SPDX-License-Identifier: Apache-2.0
#pragma once
/// A small manifest to spoil, and its text with the hash made anew.
#include <string>
#include <string_view>

#include "dsr/checkpoint/hash.hpp"
#include "dsr/checkpoint/manifest.hpp"

namespace dsr::test {

inline Manifest sample_manifest() {
  auto const hash = [](std::string_view text) {
    return hash_text(std::as_bytes(std::span{text.data(), text.size()}));
  };
  auto const file = [&](std::string name, Size bytes, std::vector<std::string> blocks) {
    return StoredFile{std::move(name), bytes, file_hash(blocks), blocks};
  };
  return {
      .step = 1200,
      .generation = 2,
      .run_id = "run-7",
      .mesh = "dp=2 row=1 col=1",
      .saved_unix = 1'700'000'000.25,
      .files = {file("rank_00000.h5", kHashBlock_bytes + 1, {hash("a"), hash("b")}),
                file("rank_00001.h5", 8192, {hash("c")})},
      .tensors = {{"model/table",
                   {4, 6},
                   DType::f32,
                   {{0, 4096, 48, {{0, 0}, {2, 6}}}, {1, 4096, 48, {{2, 0}, {2, 6}}}}},
                  {"optimizer/none", {0, 3}, DType::bf16, {}},
                  {"optimizer/scalar", {}, DType::f64, {{1, 8184, 8, {{}, {}}}}}},
      .state = {{"data/cursor", "epoch 1\nsequence \"9\" \xc3\xa4"}, {"optimizer/step", "1200"}},
      .versions = {{"dsr", "0.1.0"}}};
}

/// What manifest_hash is made of.
inline std::string body_of(std::string const& text) {
  return text.substr(0, text.rfind("\"manifest_hash\""));
}

/// A body with its hash behind it.
inline std::string sealed(std::string const& body) {
  std::string text = body + "\"manifest_hash\": \"";
  text += hash_text(std::as_bytes(std::span{body}));
  return text += "\"\n}\n";
}

}  // namespace dsr::test
