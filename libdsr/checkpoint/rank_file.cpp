// SPDX-License-Identifier: Apache-2.0
#include "dsr/checkpoint/rank_file.hpp"

#include <algorithm>
#include <cstdio>
#include <map>

#include "dsr/checkpoint/container.hpp"
#include "dsr/checkpoint/hashed_file.hpp"
#include "dsr/core/error.hpp"

namespace dsr {
namespace {

/// Bytes of the file that come from one place, to be written in ascending order.
struct Write {
  Size offset = 0;
  std::span<std::byte const> bytes;
};

void check_piece(HostPiece const& piece) {
  Size const bytes = piece.box.elements() * size_of(piece.dtype);
  if (std::ssize(piece.bytes) == bytes) return;
  throw InvalidArgument(problem("checkpoint: " + piece.name,
                                std::to_string(piece.bytes.size()) + " bytes for " +
                                    to_string(piece.box),
                                std::to_string(bytes)));
}

/// The tensor that a piece belongs to, added if it is new.
StoredTensor& tensor_of(HostPiece const& piece, std::vector<StoredTensor>& tensors,
                        std::map<std::string, std::size_t>& places) {
  auto const [place, added] = places.emplace(piece.name, tensors.size());
  if (added) tensors.push_back({piece.name, piece.global, piece.dtype, {}});
  return tensors[place->second];
}

}  // namespace

std::string rank_file_name(int rank) {
  char name[32];
  std::snprintf(name, sizeof name, "rank_%05d.h5", rank);
  return name;
}

RankReport write_rank_file(FileSystem& files, std::string const& directory, int rank,
                           std::vector<HostPiece> const& pieces) {
  std::vector<HostPiece const*> written;
  std::vector<Dataset> datasets;
  RankReport report;
  std::map<std::string, std::size_t> places;
  for (HostPiece const& piece : pieces) {
    check_piece(piece);
    if (piece.box.empty()) continue;
    StoredTensor& tensor = tensor_of(piece, report.tensors, places);
    int const number = static_cast<int>(tensor.slices.size());
    datasets.push_back({.path = slice_path(piece.name, number),
                        .shape = piece.box.count,
                        .dtype = piece.dtype,
                        .offset = 0});
    tensor.slices.push_back({.file = 0, .offset = 0, .bytes = std::ssize(piece.bytes), .box = piece.box});
    written.push_back(&piece);
  }
  Container const container{std::move(datasets)};
  std::vector<Write> writes;
  for (Container::Piece const& piece : container.metadata())
    writes.push_back({piece.offset, piece.bytes});
  std::map<std::string, std::size_t> next;
  for (std::size_t i = 0; i < written.size(); ++i) {
    Size const offset = container.datasets()[i].offset;
    std::string const& name = written[i]->name;
    report.tensors[places.at(name)].slices[next[name]++].offset = offset;
    writes.push_back({offset, written[i]->bytes});
  }
  std::ranges::sort(writes, {}, &Write::offset);
  HashedFile file{files, directory, rank_file_name(rank), container.bytes()};
  for (Write const& write : writes) file.write(write.offset, write.bytes);
  report.file = file.finish();
  files.sync_directory(directory);
  return report;
}

Manifest merge_reports(std::vector<RankReport> const& reports) {
  Manifest manifest;
  std::map<std::string, std::size_t> places;
  for (RankReport const& report : reports) {
    int const file = static_cast<int>(manifest.files.size());
    manifest.files.push_back(report.file);
    for (StoredTensor const& part : report.tensors) {
      auto const [place, added] = places.emplace(part.name, manifest.tensors.size());
      if (added) manifest.tensors.push_back({part.name, part.shape, part.dtype, {}});
      StoredTensor& tensor = manifest.tensors[place->second];
      if (tensor.shape != part.shape || tensor.dtype != part.dtype) {
        throw InvalidArgument(problem("checkpoint: " + part.name,
                                      std::string(name_of(part.dtype)) + " " +
                                          to_string(part.shape) + " in " + report.file.name,
                                      std::string(name_of(tensor.dtype)) + " " +
                                          to_string(tensor.shape) + " as in others"));
      }
      for (Slice slice : part.slices) {
        slice.file = file;
        tensor.slices.push_back(slice);
      }
    }
  }
  return manifest;
}

}  // namespace dsr
