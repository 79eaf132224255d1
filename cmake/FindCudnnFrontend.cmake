# SPDX-License-Identifier: Apache-2.0
# cudnn-frontend, headers only, as target CudnnFrontend::CudnnFrontend, with CudnnFrontend_VERSION. To choose one:
# CudnnFrontend_ROOT, or CudnnFrontend_INCLUDE_DIR (where cudnn_frontend.h is).
set(CudnnFrontend_LOOKED_FOR "cudnn_frontend.h")
find_path(CudnnFrontend_INCLUDE_DIR cudnn_frontend.h HINTS ${DSR_CUDA_HINTS} PATH_SUFFIXES include)
find_path(CudnnFrontend_INCLUDE_DIR cudnn_frontend.h PATHS ${DSR_PYTHON_NVIDIA} PATH_SUFFIXES include NO_DEFAULT_PATH)
mark_as_advanced(CudnnFrontend_INCLUDE_DIR)

set(CudnnFrontend_VERSION "")
if(CudnnFrontend_INCLUDE_DIR)
  # Older releases have the numbers in cudnn_frontend.h or in a header of their own.
  foreach(header cudnn_frontend_version.h cudnn_frontend.h)
    if(EXISTS "${CudnnFrontend_INCLUDE_DIR}/${header}" AND NOT CudnnFrontend_VERSION)
      file(STRINGS "${CudnnFrontend_INCLUDE_DIR}/${header}" frontend_lines
           REGEX "^#define CUDNN_FRONTEND_(MAJOR|MINOR|PATCH)_VERSION [0-9]")
      string(REGEX REPLACE "[^0-9;]" "" frontend_lines "${frontend_lines}")
      list(JOIN frontend_lines "." CudnnFrontend_VERSION)
    endif()
  endforeach()
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(CudnnFrontend REQUIRED_VARS CudnnFrontend_INCLUDE_DIR
                                  VERSION_VAR CudnnFrontend_VERSION)
if(CudnnFrontend_FOUND AND NOT TARGET CudnnFrontend::CudnnFrontend)
  add_library(CudnnFrontend::CudnnFrontend INTERFACE IMPORTED)
  # As a system folder, so that the project's warnings stay the project's.
  target_include_directories(CudnnFrontend::CudnnFrontend SYSTEM INTERFACE "${CudnnFrontend_INCLUDE_DIR}")
endif()
