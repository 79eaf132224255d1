// SPDX-License-Identifier: Apache-2.0
#include "dsr/checkpoint/rank_file.hpp"

#include <algorithm>
#include <cstdio>
#include <map>

#include "dsr/checkpoint/container.hpp"
#include "dsr/checkpoint/hash.hpp"
#include "dsr/core/error.hpp"
#include "libdsr/checkpoint/block_writer.hpp"
#include "libdsr/checkpoint/memory_bytes.hpp"

namespace dsr {
namespace {

/// A piece that has elements, and the slice that stands for it in the report.
struct Place {
  std::size_t piece = 0, tensor = 0, slice = 0;
};

/// Adds the slices of all pieces to `tensors`, without offsets.
std::vector<Place> list_slices(std::vector<HostPiece> const& pieces,
                               std::vector<StoredTensor>& tensors) {
  std::vector<Place> places;
  std::map<std::string, std::size_t> known;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    HostPiece const& piece = pieces[i];
    if (piece.box.empty()) continue;
    auto const [entry, added] = known.emplace(piece.name, tensors.size());
    if (added) tensors.push_back({piece.name, piece.global, piece.dtype, {}});
    std::vector<Slice>& slices = tensors[entry->second].slices;
    places.push_back({i, entry->second, slices.size()});
    slices.push_back({.file = 0,
                      .offset = 0,
                      .bytes = piece.box.elements() * size_of(piece.dtype),
                      .box = piece.box});
  }
  return places;
}

/// The file's layout, which gives the slices their offsets.
Container lay_out(std::vector<HostPiece> const& pieces, std::vector<Place> const& places,
                  std::vector<StoredTensor>& tensors) {
  std::vector<Dataset> datasets;
  for (Place const& place : places) {
    HostPiece const& piece = pieces[place.piece];
    datasets.push_back({.path = slice_path(piece.name, static_cast<int>(place.slice)),
                        .shape = piece.box.count,
                        .dtype = piece.dtype,
                        .offset = 0});
  }
  Container container{std::move(datasets)};
  for (std::size_t i = 0; i < places.size(); ++i)
    tensors[places[i].tensor].slices[places[i].slice].offset = container.datasets()[i].offset;
  return container;
}

/// Ascending; payload comes in the order of the pieces, since HDF5 gives space in this order.
std::vector<detail::Extent> extents_of(Container const& container, std::vector<Place> const& places,
                                       std::vector<StoredTensor> const& tensors) {
  std::vector<detail::Extent> extents;
  for (Container::Piece const& piece : container.metadata())
    extents.push_back({piece.offset, std::ssize(piece.bytes), piece.bytes.data()});
  for (Place const& place : places) {
    Slice const& slice = tensors[place.tensor].slices[place.slice];
    extents.push_back({slice.offset, slice.bytes, nullptr, place.piece});
  }
  std::ranges::sort(extents, {}, &detail::Extent::offset);
  return extents;
}

/// "f32 [4096, 1024], codec none".
std::string text_of_type(StoredTensor const& tensor) {
  return std::string(name_of(tensor.dtype)) + " " + to_string(tensor.shape) + ", codec " +
         std::string(name_of(tensor.codec));
}

}  // namespace

std::string rank_file_name(int rank) {
  char name[32];
  std::snprintf(name, sizeof name, "rank_%05d.h5", rank);
  return name;
}

RankReport write_rank_file(FileSystem& files, std::string const& directory, int rank,
                           std::vector<HostPiece> const& pieces, WriteOptions const& options) {
  for (HostPiece const& piece : pieces) detail::check_piece(piece);
  detail::BytesInMemory source{pieces};
  return write_rank_file(files, directory, rank, pieces, source, options);
}

RankReport write_rank_file(FileSystem& files, std::string const& directory, int rank,
                           std::vector<HostPiece> const& pieces, PieceBytes& source,
                           WriteOptions const& options) {
  try {
    RankReport report;
    std::vector<Place> const places = list_slices(pieces, report.tensors);
    Container const container = lay_out(pieces, places, report.tensors);
    std::vector<detail::Extent> const extents = extents_of(container, places, report.tensors);
    std::string const name = rank_file_name(rank);
    std::unique_ptr<File> const file = files.create(directory + "/" + name);
    file->allocate(container.bytes());
    report.file = {.name = name, .bytes = container.bytes(), .hash = {}, .blocks = {}};
    report.file.blocks = detail::write_blocks(*file, container.bytes(), extents, source, options);
    report.file.hash = file_hash(report.file.blocks);
    file->sync_data();
    file->close();
    files.sync_directory(directory);
    return report;
  } catch (...) {
    source.abandon();
    throw;
  }
}

Manifest merge_reports(std::vector<RankReport> const& reports) {
  Manifest manifest;
  std::map<std::string, std::size_t> places;
  for (RankReport const& report : reports) {
    int const file = static_cast<int>(manifest.files.size());
    manifest.files.push_back(report.file);
    for (StoredTensor const& part : report.tensors) {
      auto const [place, added] = places.emplace(part.name, manifest.tensors.size());
      if (added) manifest.tensors.push_back({part.name, part.shape, part.dtype, {}, part.codec});
      StoredTensor& tensor = manifest.tensors[place->second];
      if (tensor.shape != part.shape || tensor.dtype != part.dtype || tensor.codec != part.codec) {
        throw InvalidArgument(problem("checkpoint: " + part.name,
                                      text_of_type(part) + " in " + report.file.name,
                                      text_of_type(tensor) + " as in others"));
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
