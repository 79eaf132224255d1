# SPDX-License-Identifier: Apache-2.0
# cudnn-frontend's headers, where none are installed: pip downloads one wheel of a fixed version and
# hash into the build folder, and its headers are unpacked there. Included by DsrCuda.cmake.
#
#   DSR_DOWNLOAD=OFF   never download; say what is missing instead
option(DSR_DOWNLOAD "Download cudnn-frontend's headers with pip where they are not installed"
       ${PROJECT_IS_TOP_LEVEL})

# Only headers are used, so one wheel serves every Python and every machine.
set(DSR_CUDNN_FRONTEND_VERSION 1.32.0)
set(DSR_CUDNN_FRONTEND_SHA256 c6006556017a4d1c914c52a556c71b1267f2d6a0500f742e7b4edef539878df0)
set(dsr_frontend_dir "${PROJECT_BINARY_DIR}/cudnn_frontend-${DSR_CUDNN_FRONTEND_VERSION}")

# dsr_download_cudnn_frontend(<why>): leaves the headers in dsr_frontend_dir, or <why> it could not.
function(dsr_download_cudnn_frontend why)
  set(${why} "" PARENT_SCOPE)
  if(EXISTS "${dsr_frontend_dir}/include/cudnn_frontend.h")
    return()
  endif()
  message(STATUS "dsr: downloading the headers of cudnn-frontend ${DSR_CUDNN_FRONTEND_VERSION}")
  file(WRITE "${dsr_frontend_dir}/requirements.txt"
       "nvidia-cudnn-frontend==${DSR_CUDNN_FRONTEND_VERSION} "
       "--hash=sha256:${DSR_CUDNN_FRONTEND_SHA256}\n")
  execute_process(
    COMMAND ${DSR_PYTHON} -m pip download -qq --no-deps --require-hashes --only-binary=:all:
            --python-version 3.11 --implementation cp --abi cp311
            --platform manylinux_2_28_x86_64 --timeout 20 --retries 2
            --dest ${dsr_frontend_dir} --requirement ${dsr_frontend_dir}/requirements.txt
    RESULT_VARIABLE failed OUTPUT_VARIABLE said ERROR_VARIABLE said)
  file(GLOB wheel "${dsr_frontend_dir}/nvidia_cudnn_frontend-*.whl")
  if(failed OR NOT wheel)
    string(STRIP "${said}" said)
    set(${why} "${DSR_PYTHON} -m pip download: ${said}" PARENT_SCOPE)
    return()
  endif()
  file(ARCHIVE_EXTRACT INPUT "${wheel}" DESTINATION "${dsr_frontend_dir}" PATTERNS "include/*")
  file(REMOVE "${wheel}")
endfunction()

find_package(CudnnFrontend 1.12 QUIET)
set(dsr_frontend_failure "")
if(NOT CudnnFrontend_FOUND AND DSR_DOWNLOAD)
  dsr_download_cudnn_frontend(dsr_frontend_failure)
  if(NOT dsr_frontend_failure)
    set(CudnnFrontend_INCLUDE_DIR "${dsr_frontend_dir}/include" CACHE PATH "" FORCE)
  endif()
endif()
if(dsr_frontend_failure)
  set(dsr_frontend_failure "\n  download   failed: ${dsr_frontend_failure}")
endif()
