// SPDX-License-Identifier: Apache-2.0
#pragma once
/// HDF5's C interface as the library uses it: identifiers that close themselves, failures as Error.
///
///     Hdf5Session session;                       // one at a time in a process
///     Hdf5Id const space{H5Screate(H5S_SCALAR), H5Sclose, "dataspace"};
#include <hdf5.h>

#include <mutex>
#include <string>

#include "dsr/core/dtype.hpp"
#include "dsr/core/shape.hpp"

namespace dsr::detail {

/// Keeps other threads of the library out, since HDF5 is usually built without locks, and keeps
/// HDF5 from printing; what the program had set for that is back afterwards. Neither copies nor
/// moves: it holds a lock.
class Hdf5Session {
 public:
  Hdf5Session();
  ~Hdf5Session();
  Hdf5Session(Hdf5Session const&) = delete;
  Hdf5Session& operator=(Hdf5Session const&) = delete;

 private:
  std::unique_lock<std::mutex> lock_;
  H5E_auto2_t print_ = nullptr;
  void* data_ = nullptr;
};

/// Throws Error: what was done, and the innermost entry of HDF5's error stack.
[[noreturn]] void throw_hdf5(std::string const& action);

/// Throws if a call failed.
inline void require_hdf5(herr_t result, std::string const& action) {
  if (result < 0) throw_hdf5(action);
}

/// An open identifier. Neither copies nor moves: it lives in one scope.
class Hdf5Id {
 public:
  using Close = herr_t (*)(hid_t);
  Hdf5Id(hid_t id, Close close_id, std::string const& action) : id_{id}, close_{close_id} {
    if (id < 0) throw_hdf5(action);
  }
  ~Hdf5Id() {
    if (id_ >= 0) close_(id_);
  }
  Hdf5Id(Hdf5Id const&) = delete;
  Hdf5Id& operator=(Hdf5Id const&) = delete;
  operator hid_t() const { return id_; }
  /// Closes before the scope ends; a failure is an Error.
  void close(std::string const& action) {
    hid_t const id = id_;
    id_ = H5I_INVALID_HID;
    require_hdf5(close_(id), action);
  }

 private:
  hid_t id_;
  Close close_;
};

/// Little-endian type of an element. HDF5 1.10 has no bf16: it is described by its fields, and
/// readers convert it.
hid_t make_type(DType type);

/// A dataspace of fixed sizes; scalar for rank 0.
hid_t make_space(Shape const& shape);

}  // namespace dsr::detail
