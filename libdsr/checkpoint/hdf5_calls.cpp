// SPDX-License-Identifier: Apache-2.0
#include "libdsr/checkpoint/hdf5_calls.hpp"

#include <array>

#include "dsr/core/error.hpp"

namespace dsr::detail {
namespace {

/// HDF5's state is the process's, and so is what guards it.
std::mutex& session_mutex() {
  static std::mutex mutex;
  return mutex;
}

/// Keeps the last entry of a walk from the call inwards.
herr_t keep_reason(unsigned, H5E_error2_t const* entry, void* text) {
  if (entry->desc != nullptr) *static_cast<std::string*>(text) = entry->desc;
  return 0;
}

hid_t make_bf16() {
  hid_t const type = H5Tcopy(H5T_IEEE_F32LE);
  // Sign, 8 bits of exponent and 7 of fraction: the upper half of an f32. The fields go first, as
  // the size may not shrink below them.
  bool const made = type >= 0 && H5Tset_fields(type, 15, 7, 8, 0, 7) >= 0 &&
                    H5Tset_size(type, 2) >= 0 && H5Tset_ebias(type, 127) >= 0;
  if (!made && type >= 0) H5Tclose(type);
  return made ? type : H5I_INVALID_HID;
}

}  // namespace

Hdf5Session::Hdf5Session() : lock_{session_mutex()} {
  H5open();
  H5Eget_auto2(H5E_DEFAULT, &print_, &data_);
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
}

Hdf5Session::~Hdf5Session() { H5Eset_auto2(H5E_DEFAULT, print_, data_); }

void throw_hdf5(std::string const& action) {
  std::string reason;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_DOWNWARD, keep_reason, &reason);
  throw Error(problem("HDF5", action, {}, {}) + ": " + (reason.empty() ? "failed" : reason));
}

hid_t make_type(DType type) {
  switch (type) {
    case DType::u8:
      return H5Tcopy(H5T_STD_U8LE);
    case DType::i32:
      return H5Tcopy(H5T_STD_I32LE);
    case DType::i64:
      return H5Tcopy(H5T_STD_I64LE);
    case DType::bf16:
      return make_bf16();
    case DType::f32:
      return H5Tcopy(H5T_IEEE_F32LE);
    case DType::f64:
      return H5Tcopy(H5T_IEEE_F64LE);
  }
  return H5I_INVALID_HID;
}

hid_t make_space(Shape const& shape) {
  if (shape.rank() == 0) return H5Screate(H5S_SCALAR);
  std::array<hsize_t, Shape::kMaxRank> sizes{};
  for (int dim = 0; dim < shape.rank(); ++dim) {
    sizes[static_cast<std::size_t>(dim)] = static_cast<hsize_t>(shape[dim]);
  }
  return H5Screate_simple(shape.rank(), sizes.data(), nullptr);
}

}  // namespace dsr::detail
