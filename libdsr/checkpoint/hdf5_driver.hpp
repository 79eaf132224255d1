// SPDX-License-Identifier: Apache-2.0
#pragma once
/// HDF5's virtual file driver of Hdf5Layout. Its information in a file access property list is a
/// MemoryFile*, which must outlive the file.
#include "libdsr/checkpoint/hdf5_calls.hpp"

namespace dsr::detail {

/// An identifier for H5Pset_driver; negative if HDF5 refuses the driver.
hid_t register_memory_driver();
/// Gives the identifier back, when its files are closed.
herr_t release_memory_driver(hid_t driver);

}  // namespace dsr::detail
