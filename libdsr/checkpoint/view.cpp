// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <cstdint>
#include <limits>
#include <map>
#include <utility>

#include "dsr/checkpoint/container.hpp"
#include "dsr/checkpoint/hashed_file.hpp"
#include "dsr/core/error.hpp"
#include "libdsr/checkpoint/cold_layout.hpp"
#include "libdsr/checkpoint/hdf5_layout.hpp"
#include "libdsr/checkpoint/manifest_fault.hpp"

namespace dsr {
namespace {

using detail::chunk_shape;
using detail::Hdf5Id;
using detail::require_hdf5;
using Sizes = std::array<hsize_t, Shape::kMaxRank>;

Sizes sizes_of(Shape const& shape) {
  Sizes sizes{};
  for (int dim = 0; dim < shape.rank(); ++dim) {
    sizes[static_cast<std::size_t>(dim)] = static_cast<hsize_t>(shape[dim]);
  }
  return sizes;
}

/// HDF5 reads names of sources as patterns in which "%b" stands for a number.
std::string without_patterns(std::string const& name) {
  std::string escaped;
  for (char const letter : name) escaped.append(letter == '%' ? 2 : 1, letter);
  return escaped;
}

/// HDF5 shows the fill value where a source is missing, and 0 would pass for a weight.
void set_missing(hid_t creation, DType type) {
  auto const set = [creation](hid_t memory_type, auto value) {
    require_hdf5(H5Pset_fill_value(creation, memory_type, &value), "fill value");
  };
  switch (type) {
    case DType::u8:
      return set(H5T_NATIVE_UINT8, std::numeric_limits<std::uint8_t>::max());
    case DType::i32:
      return set(H5T_NATIVE_INT32, std::numeric_limits<std::int32_t>::min());
    case DType::i64:
      return set(H5T_NATIVE_INT64, std::numeric_limits<std::int64_t>::min());
    case DType::bf16:
    case DType::f32:
    case DType::f64:
      return set(H5T_NATIVE_FLOAT, std::numeric_limits<float>::quiet_NaN());
  }
}

/// Maps the slices of a tensor into the dataset of its global shape.
void set_sources(hid_t creation, StoredTensor const& tensor, Manifest const& manifest) {
  std::map<int, int> numbers;  // the next slice in each file
  for (Slice const& slice : tensor.slices) {
    Hdf5Id const whole{detail::make_space(tensor.shape), H5Sclose, tensor.name};
    Shape const& shape = slice.box.count;
    Shape const stored = tensor.codec == Codec::none ? shape : chunk_shape(shape);
    Hdf5Id const part{detail::make_space(stored), H5Sclose, tensor.name};
    if (tensor.shape.rank() > 0) {
      Sizes const begin = sizes_of(slice.box.begin), count = sizes_of(slice.box.count);
      require_hdf5(
          H5Sselect_hyperslab(whole, H5S_SELECT_SET, begin.data(), nullptr, count.data(), nullptr),
          tensor.name);
    }
    auto const& file = manifest.files[static_cast<std::size_t>(slice.file)];
    std::string const path = slice_path(tensor.name, numbers[slice.file]++);
    require_hdf5(H5Pset_virtual(creation, whole, without_patterns(file.name).c_str(),
                                without_patterns("/" + path).c_str(), part),
                 "source of " + tensor.name);
  }
}

void add_tensor(detail::Hdf5Layout& layout, StoredTensor const& tensor, Manifest const& manifest) {
  layout.make_groups(tensor.name);
  Hdf5Id const creation{H5Pcreate(H5P_DATASET_CREATE), H5Pclose, "dataset creation"};
  require_hdf5(H5Pset_obj_track_times(creation, false), "dataset without times");
  set_missing(creation, tensor.dtype);
  set_sources(creation, tensor, manifest);
  Hdf5Id const type{detail::make_type(tensor.dtype), H5Tclose, "type"};
  Hdf5Id const space{detail::make_space(tensor.shape), H5Sclose, to_string(tensor.shape)};
  Hdf5Id const made{H5Dcreate2(layout.file(), tensor.name.c_str(), type, space, H5P_DEFAULT,
                               creation, H5P_DEFAULT),
                    H5Dclose, "dataset " + tensor.name};
}

}  // namespace

StoredFile write_view(FileSystem& files, std::string const& set_directory,
                      Manifest const& manifest) {
  std::string const fault = detail::fault_of(manifest);
  if (!fault.empty()) throw InvalidArgument(problem("manifest", fault));
  std::vector<Container::Piece> pieces;
  Size bytes = 0;
  {
    detail::Hdf5Session const session;
    detail::Hdf5Layout layout{H5F_LIBVER_V110};
    for (StoredTensor const& tensor : manifest.tensors) add_tensor(layout, tensor, manifest);
    layout.close();
    bytes = layout.bytes();
    pieces = layout.take_pieces();
  }
  std::string const name = std::string{kViewName} + ".tmp";
  std::string const draft = set_directory + "/" + name;
  if (files.exists(draft)) files.remove_file(draft);
  HashedFile file{files, set_directory, name, bytes};
  for (Container::Piece const& piece : pieces) file.write(piece.offset, piece.bytes);
  StoredFile stored = file.finish();
  files.rename(draft, set_directory + "/" + kViewName);
  stored.name = kViewName;
  return stored;
}

}  // namespace dsr
