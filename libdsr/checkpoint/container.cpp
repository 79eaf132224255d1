// SPDX-License-Identifier: Apache-2.0
#include "dsr/checkpoint/container.hpp"

#include <set>
#include <utility>

#include "dsr/core/error.hpp"
#include "libdsr/checkpoint/hdf5_layout.hpp"

namespace dsr {
namespace {

using detail::Hdf5Id;
using detail::require_hdf5;

/// A path that is a dataset cannot be a group for others.
void check_paths(std::vector<Dataset> const& datasets) {
  std::set<std::string_view> paths;
  for (Dataset const& dataset : datasets) {
    std::string const what = "dataset \"" + dataset.path + "\"";
    if (!tensor_name(dataset.path)) {
      throw InvalidArgument(problem(what, "its name", "printable parts divided by single '/'"));
    }
    if (dataset.shape.elements() == 0) {
      throw InvalidArgument(problem(what, to_string(dataset.shape), "at least one element"));
    }
    if (!paths.insert(dataset.path).second) {
      throw InvalidArgument(problem(what, "the name is there twice", "different names"));
    }
  }
  for (Dataset const& dataset : datasets) {
    std::string_view const path = dataset.path;
    for (auto at = path.find('/'); at != path.npos; at = path.find('/', at + 1)) {
      if (!paths.contains(path.substr(0, at))) continue;
      throw InvalidArgument(problem("dataset \"" + dataset.path + "\"",
                                    "\"" + std::string{path.substr(0, at)} + "\" is a dataset too",
                                    "datasets with no dataset above them"));
    }
  }
}

/// Contiguous, with its space at once, never filled, without the time of day.
void set_contiguous(hid_t creation) {
  require_hdf5(H5Pset_layout(creation, H5D_CONTIGUOUS), "contiguous layout");
  require_hdf5(H5Pset_alloc_time(creation, H5D_ALLOC_TIME_EARLY), "allocation");
  require_hdf5(H5Pset_fill_time(creation, H5D_FILL_TIME_NEVER), "no fill value");
  require_hdf5(H5Pset_obj_track_times(creation, false), "dataset without times");
}

Size offset_of_new(detail::Hdf5Layout& layout, Dataset const& dataset, hid_t creation) {
  layout.make_groups(dataset.path);
  Hdf5Id const type{detail::make_type(dataset.dtype), H5Tclose, "type"};
  Hdf5Id const space{detail::make_space(dataset.shape), H5Sclose, to_string(dataset.shape)};
  Hdf5Id const made{H5Dcreate2(layout.file(), dataset.path.c_str(), type, space, H5P_DEFAULT,
                               creation, H5P_DEFAULT),
                    H5Dclose, "dataset " + dataset.path};
  haddr_t const offset = H5Dget_offset(made);
  if (offset == HADDR_UNDEF) detail::throw_hdf5("offset of dataset " + dataset.path);
  return static_cast<Size>(offset);
}

}  // namespace

std::string slice_path(std::string const& tensor, int number) {
  return tensor + "/slice_" + std::to_string(number);
}

Container::Container(std::vector<Dataset> datasets) : datasets_{std::move(datasets)} {
  check_paths(datasets_);
  detail::Hdf5Session const session;
  detail::Hdf5Layout layout{H5F_LIBVER_V18};
  Hdf5Id const creation{H5Pcreate(H5P_DATASET_CREATE), H5Pclose, "dataset creation"};
  set_contiguous(creation);
  for (Dataset& dataset : datasets_) dataset.offset = offset_of_new(layout, dataset, creation);
  layout.close();
  bytes_ = layout.bytes();
  metadata_ = layout.take_pieces();
}

}  // namespace dsr
