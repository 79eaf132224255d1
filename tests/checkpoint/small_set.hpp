// SPDX-License-Identifier: Apache-2.0
#pragma once
/// Committed sets of a few bytes, for tests of what is done with sets.
#include <cstring>
#include <string>
#include <vector>

#include "dsr/checkpoint/hashed_file.hpp"
#include "dsr/checkpoint/sets.hpp"

namespace dsr::test {

enum class Commit { yes, no };

/// Two files with a tensor that lies half in each, and a small one that is in the second: "model/w"
/// [2·half] and "model/b" [2]. Element i of a tensor is i + step.
inline Manifest small_manifest(SetName name, Size half = 3) {
  Manifest manifest;
  manifest.step = name.step;
  manifest.generation = name.generation;
  manifest.run_id = "small";
  manifest.mesh = "dp=2 row=1 col=1";
  manifest.saved_unix = 1.5e9 + static_cast<double>(name.step);
  manifest.state["trainer/step"] = std::to_string(name.step);
  Size const bytes = half * 4;
  manifest.tensors.push_back({"model/w",
                              {2 * half},
                              DType::f32,
                              {{0, 64, bytes, {{0}, {half}}}, {1, 64, bytes, {{half}, {half}}}}});
  manifest.tensors.push_back({"model/b", {2}, DType::f32, {{1, 64 + bytes, 8, {{0}, {2}}}}});
  return manifest;
}

/// Writes the files of small_manifest in the protocol's order.
inline std::string write_set(FileSystem& files, std::string const& tier, SetName name,
                             Commit commit = Commit::yes, Size half = 3) {
  make_directories(files, tier);
  std::string const directory = tier + "/" + to_string(name);
  files.make_directory(directory);
  files.sync_directory(tier);
  Manifest manifest = small_manifest(name, half);
  for (int file = 0; file < 2; ++file) {
    std::string const file_name = "rank_0000" + std::to_string(file) + ".h5";
    Size const bytes = 64 + half * 4 + (file == 1 ? 8 : 0);
    HashedFile out{files, directory, file_name, bytes};
    for (StoredTensor const& tensor : manifest.tensors) {
      for (Slice const& slice : tensor.slices) {
        if (slice.file != file) continue;
        std::vector<float> values(static_cast<std::size_t>(slice.box.elements()));
        for (std::size_t i = 0; i < values.size(); ++i)
          values[i] = static_cast<float>(slice.box.begin[0] + static_cast<Size>(i) + name.step);
        out.write(slice.offset, std::as_bytes(std::span{values}));
      }
    }
    manifest.files.push_back(out.finish());
  }
  files.sync_directory(directory);
  if (commit == Commit::yes) commit_manifest(files, directory, manifest);
  return directory;
}

/// Directory names of sets, in order.
inline std::vector<std::string> names_of(std::vector<FoundSet> const& sets) {
  std::vector<std::string> names;
  for (FoundSet const& set : sets)
    names.push_back(set.directory.substr(set.directory.rfind('/') + 1));
  return names;
}

}  // namespace dsr::test
