// SPDX-License-Identifier: Apache-2.0
/// Writes a set of known values for view_test.py: element i of a tensor, counted row-major in the
/// global tensor, is i % 113, which every type holds exactly.
///
/// usage: view_program DIRECTORY [cold]      cold: compressed, weights in bf16
#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string_view>

#include "dsr/checkpoint/cold_file.hpp"
#include "dsr/checkpoint/container.hpp"
#include "dsr/checkpoint/hashed_file.hpp"
#include "dsr/core/error.hpp"

using namespace dsr;

namespace {

template <class T>
void append(std::vector<std::byte>& bytes, T value) {
  auto const* first = reinterpret_cast<std::byte const*>(&value);
  bytes.insert(bytes.end(), first, first + sizeof value);
}

void append(std::vector<std::byte>& bytes, DType dtype, Size number) {
  switch (dtype) {
    case DType::u8:
      return append(bytes, static_cast<std::uint8_t>(number));
    case DType::i32:
      return append(bytes, static_cast<std::int32_t>(number));
    case DType::i64:
      return append(bytes, number);
    case DType::f32:
      return append(bytes, static_cast<float>(number));
    case DType::f64:
      return append(bytes, static_cast<double>(number));
    case DType::bf16: {
      auto const bits = std::bit_cast<std::uint32_t>(static_cast<float>(number));
      return append(bytes, static_cast<std::uint16_t>(bits >> 16U));
    }
  }
}

/// The elements of a box, row-major.
std::vector<std::byte> payload(Shape const& global, Box const& box, DType dtype) {
  std::vector<std::byte> bytes;
  for (Size i = 0; i < box.elements(); ++i) {
    Size rest = i, flat = 0, stride = 1;
    for (int dim = global.rank() - 1; dim >= 0; --dim) {
      flat += stride * (box.begin[dim] + rest % box.count[dim]);
      rest /= box.count[dim];
      stride *= global[dim];
    }
    append(bytes, dtype, flat % 113);
  }
  return bytes;
}

/// Deals a tensor to files: flat ranges, so that a file gets several boxes.
void deal(Manifest& manifest, std::string name, Shape shape, DType dtype) {
  StoredTensor tensor{.name = std::move(name), .shape = shape, .dtype = dtype, .slices = {}};
  Size const elements = shape.elements(), files = std::ssize(manifest.files);
  for (Size file = 0; file < files; ++file) {
    for (Box const& box :
         boxes_of_range(shape, elements * file / files, elements * (file + 1) / files)) {
      tensor.slices.push_back({.file = static_cast<int>(file),
                               .offset = 0,
                               .bytes = box.elements() * size_of(dtype),
                               .box = box});
    }
  }
  manifest.tensors.push_back(std::move(tensor));
}

void write_file(Manifest& manifest, int file, std::string const& directory) {
  std::vector<Dataset> datasets;
  std::vector<std::pair<Slice*, StoredTensor const*>> slices;
  for (StoredTensor& tensor : manifest.tensors) {
    int number = 0;
    for (Slice& slice : tensor.slices) {
      if (slice.file != file) continue;
      datasets.push_back({.path = slice_path(tensor.name, number++),
                          .shape = slice.box.count,
                          .dtype = tensor.dtype,
                          .offset = 0});
      slices.emplace_back(&slice, &tensor);
    }
  }
  Container const container{std::move(datasets)};
  std::vector<Container::Piece> pieces = container.metadata();
  for (std::size_t i = 0; i < slices.size(); ++i) {
    auto const [slice, tensor] = slices[i];
    slice->offset = container.datasets()[i].offset;
    pieces.push_back({slice->offset, payload(tensor->shape, slice->box, tensor->dtype)});
  }
  std::ranges::sort(pieces, {}, &Container::Piece::offset);
  StoredFile& stored = manifest.files[static_cast<std::size_t>(file)];
  HashedFile out{system_files(), directory, stored.name, container.bytes()};
  for (Container::Piece const& piece : pieces) out.write(piece.offset, piece.bytes);
  stored = out.finish();
}

void deal_all(Manifest& manifest) {
  deal(manifest, "model/blocks/0/attention/qkv/weight", {6, 5, 7}, DType::f32);
  deal(manifest, "model/blocks/0/norm/bias", {10}, DType::bf16);
  deal(manifest, "model/100%b done", {4, 4}, DType::f64);
  deal(manifest, "optimizer/m/table", {33, 9, 2, 2}, DType::f32);
  deal(manifest, "counts/u8", {7, 3}, DType::u8);
  deal(manifest, "counts/i32", {7, 3}, DType::i32);
  deal(manifest, "counts/i64", {2, 2}, DType::i64);
  deal(manifest, "scalar", {}, DType::f32);
  deal(manifest, "nothing", {0, 4}, DType::f32);
}

/// All below "model/", so that it is stored; one tensor has more than a chunk in each file.
void deal_weights(Manifest& manifest) {
  deal(manifest, "model/blocks/0/attention/qkv/weight", {6, 5, 7}, DType::f32);
  deal(manifest, "model/100%b done", {4, 4}, DType::f64);
  deal(manifest, "model/large", {3001, 2999}, DType::f32);
  deal(manifest, "model/four", {33, 9, 2, 2}, DType::f32);
  deal(manifest, "model/counts", {7, 3}, DType::i32);
  deal(manifest, "model/bytes", {7, 3}, DType::u8);
  deal(manifest, "model/scalar", {}, DType::f32);
}

RankReport write_cold(Manifest const& manifest, int file, std::string const& directory) {
  std::vector<std::vector<std::byte>> memory;
  std::vector<HostPiece> pieces;
  for (StoredTensor const& tensor : manifest.tensors) {
    for (Slice const& slice : tensor.slices) {
      if (slice.file != file) continue;
      memory.push_back(payload(tensor.shape, slice.box, tensor.dtype));
      pieces.push_back({tensor.name, tensor.shape, tensor.dtype, slice.box, memory.back()});
    }
  }
  return write_cold_file(system_files(), directory, file, pieces);
}

/// The same numbers as a cold set.
void make_cold(Manifest& manifest, std::string const& directory) {
  std::vector<RankReport> reports;
  for (int file = 0; file < 3; ++file) reports.push_back(write_cold(manifest, file, directory));
  Manifest merged = merge_reports(reports);
  manifest.files = std::move(merged.files);
  manifest.tensors = std::move(merged.tensors);
}

}  // namespace

int main(int argc, char** argv) try {
  bool const cold = argc == 3 && std::string_view{argv[2]} == "cold";
  if (argc != 2 && !cold) return 64;
  std::string const directory = argv[1];
  Manifest manifest;
  manifest.step = 12;
  manifest.generation = 3;
  manifest.run_id = "known";
  for (int file = 0; file < 3; ++file) {
    char name[32];
    std::snprintf(name, sizeof name, "rank_%05d.h5", file);
    manifest.files.emplace_back().name = name;
  }
  if (cold) {
    deal_weights(manifest);
    make_cold(manifest, directory);
  } else {
    deal_all(manifest);
    for (int file = 0; file < 3; ++file) write_file(manifest, file, directory);
  }
  manifest.files.push_back(write_view(system_files(), directory, manifest));
  std::string const text = to_text(manifest);
  auto const out = system_files().create(directory + "/manifest.json");
  out->write_at(0, std::as_bytes(std::span{text}));
  out->close();
  return 0;
} catch (Error const& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return error.exit_code();
}
