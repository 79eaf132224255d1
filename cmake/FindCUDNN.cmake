# SPDX-License-Identifier: Apache-2.0
# cuDNN, as target CUDNN::CUDNN, with CUDNN_VERSION. To choose one: CUDNN_ROOT, or CUDNN_INCLUDE_DIR (where cudnn.h is) and
# CUDNN_LIBRARY (the file to link; it loads its siblings itself).
set(CUDNN_LOOKED_FOR "cudnn_version.h and libcudnn.so or libcudnn.so.9")
find_path(CUDNN_INCLUDE_DIR cudnn_version.h HINTS ${DSR_CUDA_HINTS} PATH_SUFFIXES include)
find_path(CUDNN_INCLUDE_DIR cudnn_version.h PATHS ${DSR_PYTHON_NVIDIA} PATH_SUFFIXES include NO_DEFAULT_PATH)
# The library that lies beside the header comes first: two versions on one machine are usual.
get_filename_component(cudnn_root "${CUDNN_INCLUDE_DIR}" DIRECTORY)
find_library(CUDNN_LIBRARY NAMES cudnn libcudnn.so.9 NAMES_PER_DIR HINTS ${cudnn_root} ${DSR_CUDA_HINTS} PATH_SUFFIXES lib lib64)
mark_as_advanced(CUDNN_INCLUDE_DIR CUDNN_LIBRARY)

set(CUDNN_VERSION "")
if(CUDNN_INCLUDE_DIR)
  file(STRINGS "${CUDNN_INCLUDE_DIR}/cudnn_version.h" cudnn_lines REGEX "^#define CUDNN_(MAJOR|MINOR|PATCHLEVEL) ")
  string(REGEX REPLACE "[^0-9;]" "" cudnn_lines "${cudnn_lines}")
  list(JOIN cudnn_lines "." CUDNN_VERSION)
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(CUDNN REQUIRED_VARS CUDNN_LIBRARY CUDNN_INCLUDE_DIR VERSION_VAR CUDNN_VERSION)
if(CUDNN_FOUND AND NOT TARGET CUDNN::CUDNN)
  add_library(CUDNN::CUDNN UNKNOWN IMPORTED)
  set_target_properties(CUDNN::CUDNN PROPERTIES IMPORTED_LOCATION "${CUDNN_LIBRARY}"
                                                INTERFACE_INCLUDE_DIRECTORIES "${CUDNN_INCLUDE_DIR}")
endif()
