# SPDX-License-Identifier: Apache-2.0
# NVIDIA's collectives, as target NCCL::NCCL, with NCCL_VERSION. To choose one: NCCL_ROOT, or NCCL_INCLUDE_DIR (where nccl.h
# is) and NCCL_LIBRARY (the file to link).
set(NCCL_LOOKED_FOR "nccl.h and libnccl.so or libnccl.so.2")
find_path(NCCL_INCLUDE_DIR nccl.h HINTS ${DSR_CUDA_HINTS} PATH_SUFFIXES include)
find_path(NCCL_INCLUDE_DIR nccl.h PATHS ${DSR_PYTHON_NVIDIA} PATH_SUFFIXES include NO_DEFAULT_PATH)
# The library that lies beside the header comes first: two versions on one machine are usual.
get_filename_component(nccl_root "${NCCL_INCLUDE_DIR}" DIRECTORY)
find_library(NCCL_LIBRARY NAMES nccl libnccl.so.2 NAMES_PER_DIR HINTS ${nccl_root} ${DSR_CUDA_HINTS} PATH_SUFFIXES lib lib64)
mark_as_advanced(NCCL_INCLUDE_DIR NCCL_LIBRARY)

set(NCCL_VERSION "")
if(NCCL_INCLUDE_DIR)
  file(STRINGS "${NCCL_INCLUDE_DIR}/nccl.h" nccl_lines REGEX "^#define NCCL_(MAJOR|MINOR|PATCH) ")
  string(REGEX REPLACE "[^0-9;]" "" nccl_lines "${nccl_lines}")
  list(JOIN nccl_lines "." NCCL_VERSION)
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(NCCL REQUIRED_VARS NCCL_LIBRARY NCCL_INCLUDE_DIR VERSION_VAR NCCL_VERSION)
if(NCCL_FOUND AND NOT TARGET NCCL::NCCL)
  add_library(NCCL::NCCL UNKNOWN IMPORTED)
  set_target_properties(NCCL::NCCL PROPERTIES IMPORTED_LOCATION "${NCCL_LIBRARY}"
                                              INTERFACE_INCLUDE_DIRECTORIES "${NCCL_INCLUDE_DIR}")
endif()
