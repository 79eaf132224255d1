// SPDX-License-Identifier: Apache-2.0
#include "libdsr/checkpoint/state_plan.hpp"

#include <string_view>
#include <unordered_map>

#include "dsr/checkpoint/cold_file.hpp"
#include "dsr/checkpoint/hash.hpp"
#include "dsr/core/error.hpp"

namespace dsr::detail {
namespace {

using Lookup = std::unordered_map<std::string_view, StoredTensor const*>;

/// True for imported weights; throws if anything else is missing. From names alone, so that all
/// ranks decide alike, whatever they hold.
bool weights_alone(Manifest const& manifest, Lookup const& stored, std::string const& set,
                   State const& state) {
  bool weights = true, others = false;
  std::string missing;
  for (TensorEntry const& entry : state.tensors()) {
    bool const there = stored.contains(entry.name);
    if (!there && missing.empty()) missing = "tensor " + entry.name;
    if (entry.name.starts_with(kWeightPrefix))
      weights = weights && there;
    else
      others = others || there;
  }
  bool texts = false;
  for (TextEntry const& entry : state.texts()) {
    bool const there = manifest.state.contains(entry.name);
    if (!there && missing.empty()) missing = "text " + entry.name;
    texts = texts || there;
  }
  if (missing.empty()) return false;
  if (manifest.step == 0 && !stored.empty() && weights && !others && !texts) return true;
  throw InvalidArgument(problem(set, "no " + missing, "one of the run's",
                                "a run.dir of its own, or --fresh --force"));
}

void require_fit(StoredTensor const& tensor, StatePiece const& piece, std::string const& set) {
  if (tensor.shape == piece.global && tensor.dtype == piece.dtype) return;
  throw InvalidArgument(problem(
      set + ": " + piece.name, std::string(name_of(tensor.dtype)) + " " + to_string(tensor.shape),
      std::string(name_of(piece.dtype)) + " " + to_string(piece.global) + ", as the model has",
      "a run.dir of its own, or --fresh --force"));
}

}  // namespace

StatePlan::StatePlan(Manifest const& manifest, std::string const& set, State const& state,
                     Mesh const& mesh)
    : manifest_(&manifest) {
  Lookup stored;
  for (StoredTensor const& tensor : manifest.tensors) stored.emplace(tensor.name, &tensor);
  fresh_ = weights_alone(manifest, stored, set, state);
  for (StatePiece& piece : wanted_by(state, mesh)) {
    auto const found = stored.find(piece.name);
    if (found == stored.end()) {
      zeros_.push_back(std::move(piece));
      continue;
    }
    require_fit(*found->second, piece, set);
    pieces_.push_back(std::move(piece));
    sources_.push_back(found->second);
  }
}

std::vector<std::vector<bool>> StatePlan::blocks() const {
  std::vector<std::vector<bool>> touched;
  for (StoredFile const& file : manifest_->files) touched.emplace_back(file.blocks.size(), false);
  for (std::size_t i = 0; i < pieces_.size(); ++i) {
    for (Slice const& slice : sources_[i]->slices) {
      auto const common = intersect(slice.box, pieces_[i].box);
      if (!common || common->empty() || slice.bytes == 0) continue;
      std::vector<bool>& file = touched[static_cast<std::size_t>(slice.file)];
      Size const last = (slice.offset + slice.bytes - 1) / kHashBlock_bytes;
      for (Size block = slice.offset / kHashBlock_bytes; block <= last; ++block)
        file.at(static_cast<std::size_t>(block)) = true;
    }
  }
  return touched;
}

}  // namespace dsr::detail
