// SPDX-License-Identifier: Apache-2.0
// The loading half of Checkpointer: candidates, verification by all ranks, filling in.
#include <cmath>
#include <ctime>
#include <sstream>

#include "dsr/checkpoint/checkpointer.hpp"
#include "dsr/comm/agree.hpp"
#include "dsr/comm/collectives.hpp"
#include "dsr/core/error.hpp"
#include "dsr/core/transfer.hpp"
#include "dsr/state/pieces.hpp"

namespace dsr {
namespace {

/// "45s", "4m12s", "3h05m", "2d04h".
std::string age_text(double seconds) {
  auto const whole = static_cast<long long>(std::max(0.0, seconds));
  char text[32];
  if (whole < 60)
    std::snprintf(text, sizeof text, "%llds", whole);
  else if (whole < 3600)
    std::snprintf(text, sizeof text, "%lldm%02llds", whole / 60, whole % 60);
  else if (whole < 86400)
    std::snprintf(text, sizeof text, "%lldh%02lldm", whole / 3600, whole / 60 % 60);
  else
    std::snprintf(text, sizeof text, "%lldd%02lldh", whole / 86400, whole / 3600 % 24);
  return text;
}

StoredTensor const& stored_tensor(Manifest const& manifest, StatePiece const& piece,
                                  std::string const& directory) {
  for (StoredTensor const& tensor : manifest.tensors) {
    if (tensor.name != piece.name) continue;
    if (tensor.shape == piece.global && tensor.dtype == piece.dtype) return tensor;
    throw InvalidArgument(problem(directory + ": " + piece.name,
                                  std::string(name_of(tensor.dtype)) + " " + to_string(tensor.shape),
                                  std::string(name_of(piece.dtype)) + " " + to_string(piece.global) +
                                      ", as the model has",
                                  "a run.dir of its own, or --fresh --force"));
  }
  throw InvalidArgument(problem(directory, "no tensor " + piece.name, "one of the model's"));
}

}  // namespace

std::string to_string(ResumedSet const& set) {
  std::string const files = std::to_string(set.files) + "/" + std::to_string(set.files);
  return "resumed step " + std::to_string(set.name.step) + " from " + set.directory + " (age " +
         age_text(set.age_s) + ", " + files + " files verified, saved on " + set.mesh + ")";
}

/// Directories of the committed sets, newest first, as rank 0 sees them.
std::vector<std::string> Checkpointer::candidates() {
  std::string lines;
  agree(runtime_->world(), [&] {
    if (runtime_->rank() != 0) return;
    std::vector<FoundSet> const sets = sets_of_tier(*files_, options_.directory);
    for (auto set = sets.rbegin(); set != sets.rend(); ++set) {
      if (set->committed)
        lines += set->directory + "\n";
      else if (!set->reason.empty())
        set_aside(set->directory, set->reason);
    }
  });
  std::istringstream text{broadcast_text(lines, 0, runtime_->world())};
  std::vector<std::string> found;
  for (std::string line; std::getline(text, line);) found.push_back(line);
  return found;
}

std::optional<SetName> Checkpointer::newest() {
  std::vector<std::string> const found = candidates();
  if (found.empty()) return std::nullopt;
  return parse_set_name(std::string_view{found.front()}.substr(found.front().rfind('/') + 1));
}

void Checkpointer::move_away() {
  agree(runtime_->world(), [&] {
    if (runtime_->rank() != 0) return;
    char name[16];
    std::snprintf(name, sizeof name, "old.g%03d", generation_);
    std::string const to = options_.directory + "/" + name;
    files_->make_directory(to);
    for (FoundSet const& set : sets_of_tier(*files_, options_.directory))
      files_->rename(set.directory, to + "/" + to_string(set.name));
    files_->sync_directory(to);
    files_->sync_directory(options_.directory);
  });
}

/// Rank 0 alone.
void Checkpointer::set_aside(std::string const& directory, std::string const& reason) {
  std::string const name = directory.substr(directory.rfind('/') + 1);
  runtime_->log().warn("checkpoint " + name + " is not used: " + reason);
  try {
    files_->rename(directory, parent_directory(directory) + "/corrupt." + name);
    files_->sync_directory(parent_directory(directory));
  } catch (Error const& error) {
    runtime_->log().warn(error.what());
  }
}

/// Every block is hashed by one rank; what the first of them found, on all.
std::string Checkpointer::faults(std::string const& directory, Manifest const& manifest) {
  Communicator& world = runtime_->world();
  std::vector<Fault> const wrong =
      verify_set(*files_, directory, manifest, {world.rank(), world.size()});
  std::string const mine = wrong.empty() ? std::string{} : to_string(wrong.front(), manifest);
  for (std::string const& found : gather_texts(mine, world)) {
    if (!found.empty()) return found;
  }
  return {};
}

std::optional<ResumedSet> Checkpointer::load(State& state) {
  for (std::string const& directory : candidates()) {
    std::string text;
    agree(runtime_->world(), [&] {
      if (runtime_->rank() == 0)
        text = read_text(*files_, directory + "/" + kManifestName, kManifestMost_bytes);
    });
    text = broadcast_text(text, 0, runtime_->world());
    Manifest const manifest = parse_manifest(text, directory + "/" + kManifestName);
    std::string const wrong = faults(directory, manifest);
    if (!wrong.empty()) {
      if (runtime_->rank() == 0) set_aside(directory, wrong);
      continue;
    }
    agree(runtime_->world(), [&] { fill_in(directory, manifest, state); });
    double const now = static_cast<double>(std::time(nullptr));
    return ResumedSet{.directory = directory,
                      .name = {manifest.step, manifest.generation},
                      .mesh = manifest.mesh,
                      .age_s = now - manifest.saved_unix,
                      .files = static_cast<int>(manifest.files.size())};
  }
  return std::nullopt;
}

/// Looks everything up before anything is changed.
void Checkpointer::fill_in(std::string const& directory, Manifest const& manifest, State& state) {
  std::vector<StatePiece> const pieces = wanted_by(state, *mesh_);
  std::vector<StoredTensor const*> sources;
  Size most = 0;
  for (StatePiece const& piece : pieces) {
    sources.push_back(&stored_tensor(manifest, piece, directory));
    most = std::max(most, piece.local.bytes());
  }
  for (TextEntry const& entry : state.texts()) {
    if (!manifest.state.contains(entry.name))
      throw InvalidArgument(problem(directory, "no text " + entry.name, "one of the run's"));
  }
  Buffer const memory = Buffer::pinned(most);
  Stream stream{mesh_->device()};
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    StatePiece const& piece = pieces[i];
    Tensor const host{memory.data(), piece.local.shape(), piece.dtype, kCpu};
    read_part(*files_, directory, manifest, *sources[i], piece.box,
              {static_cast<std::byte*>(memory.data()), static_cast<std::size_t>(host.bytes())});
    transfer(host, piece.local, stream);
    stream.synchronize();
  }
  for (TextEntry const& entry : state.texts()) entry.load(manifest.state.at(entry.name));
}

}  // namespace dsr
