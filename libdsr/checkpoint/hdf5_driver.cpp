// SPDX-License-Identifier: Apache-2.0
#include "libdsr/checkpoint/hdf5_driver.hpp"

// Where the driver's structures are since HDF5 1.13.
#if __has_include(<H5FDdevelop.h>)
#include <H5FDdevelop.h>
#endif

#include <cstdint>
#include <exception>
#include <new>

#include "libdsr/checkpoint/hdf5_layout.hpp"

namespace dsr::detail {
namespace {

/// What HDF5 holds. Its own fields come first, as it casts between the two.
struct OpenFile {
  H5FD_t base;
  MemoryFile* memory;
};

MemoryFile& memory_of(H5FD_t const* file) {
  return *reinterpret_cast<OpenFile const*>(file)->memory;
}

H5FD_t* open_file(char const*, unsigned, hid_t access, haddr_t) {
  void const* const info = H5Pget_driver_info(access);
  if (info == nullptr) return nullptr;
  auto* const file = new (std::nothrow) OpenFile{};
  if (file == nullptr) return nullptr;
  file->memory = *static_cast<MemoryFile* const*>(info);
  return &file->base;
}

herr_t close_file(H5FD_t* file) {
  delete reinterpret_cast<OpenFile*>(file);
  return 0;
}

herr_t query(H5FD_t const*, unsigned long* flags) {
  // Many small writes of metadata are gathered by HDF5 first.
  *flags = H5FD_FEAT_ACCUMULATE_METADATA;
  return 0;
}

haddr_t allocate(H5FD_t* file, H5FD_mem_t type, hid_t, hsize_t size) {
  auto const bytes = static_cast<Size>(size);
  MemoryFile& memory = memory_of(file);
  Size const offset =
      type == H5FD_MEM_DRAW ? memory.allocate_payload(bytes) : memory.allocate_metadata(bytes);
  return offset < 0 ? HADDR_UNDEF : static_cast<haddr_t>(offset);
}

/// Space is not given twice: files are made once and never changed.
herr_t release(H5FD_t*, H5FD_mem_t, hid_t, haddr_t, hsize_t) { return 0; }

haddr_t get_end(H5FD_t const* file, H5FD_mem_t) {
  return static_cast<haddr_t>(memory_of(file).end);
}

herr_t set_end(H5FD_t* file, H5FD_mem_t, haddr_t address) {
  memory_of(file).end = static_cast<Size>(address);
  return 0;
}

haddr_t get_written_end(H5FD_t const* file, H5FD_mem_t) {
  return static_cast<haddr_t>(memory_of(file).written.end());
}

herr_t read(H5FD_t* file, H5FD_mem_t, hid_t, haddr_t address, size_t size, void* buffer) {
  memory_of(file).written.read(static_cast<Size>(address), static_cast<std::byte*>(buffer),
                               static_cast<Size>(size));
  return 0;
}

herr_t write(H5FD_t* file, H5FD_mem_t, hid_t, haddr_t address, size_t size, void const* buffer) {
  if (memory_of(file).holds_payload(static_cast<Size>(address))) return 0;  // is written elsewhere
  try {
    memory_of(file).written.write(static_cast<Size>(address), static_cast<std::byte const*>(buffer),
                                  static_cast<Size>(size));
    return 0;
  } catch (std::exception const&) {
    return -1;  // no exception may pass through HDF5's own frames
  }
}

}  // namespace

hid_t register_memory_driver() {
  H5FD_class_t driver{};
#ifdef H5FD_CLASS_VERSION
  driver.version = H5FD_CLASS_VERSION;
  driver.value = H5_VFD_RESERVED;
#endif
  driver.name = "dsr_memory";
  driver.maxaddr = static_cast<haddr_t>(INT64_MAX);
  driver.fc_degree = H5F_CLOSE_STRONG;
  driver.fapl_size = sizeof(MemoryFile*);
  driver.open = open_file;
  driver.close = close_file;
  driver.query = query;
  driver.alloc = allocate;
  driver.free = release;
  driver.get_eoa = get_end;
  driver.set_eoa = set_end;
  driver.get_eof = get_written_end;
  driver.read = read;
  driver.write = write;
  return H5FDregister(&driver);
}

herr_t release_memory_driver(hid_t driver) { return H5FDunregister(driver); }

}  // namespace dsr::detail
