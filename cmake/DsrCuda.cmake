# SPDX-License-Identifier: Apache-2.0
# What the CUDA backend is built from; included with DSR_CUDA=ON. All of it is linked PRIVATE.
#
#   CMAKE_CUDA_ARCHITECTURES   90 unless set; a list of 80, 89, 90, 100, … The machine that builds needs no GPU, so
#                              "native" is refused.
#   CUDA_HOME, CUDAToolkit_ROOT, CUDACXX, CMAKE_PREFIX_PATH   where to look; DSR_PYTHON: whose nvidia/* packages to use.
set(DSR_CUDA_HINTS ${CUDAToolkit_ROOT} $ENV{CUDAToolkit_ROOT} $ENV{CUDA_HOME} $ENV{CUDA_PATH} /usr/local/cuda)

# The compiler must be known before the language is enabled, and so must the architectures: CMake's default is one
# that newer compilers have dropped.
if(NOT CMAKE_CUDA_COMPILER AND NOT DEFINED ENV{CUDACXX})
  find_program(CMAKE_CUDA_COMPILER nvcc HINTS ${DSR_CUDA_HINTS} PATH_SUFFIXES bin)
  if(NOT CMAKE_CUDA_COMPILER)
    message(FATAL_ERROR "dsr: nvcc not found. Looked for bin/nvcc in CUDAToolkit_ROOT, CUDA_HOME, CUDA_PATH, "
                        "/usr/local/cuda, CMAKE_PREFIX_PATH and PATH. Install the CUDA toolkit (12.4 or newer), or set CUDACXX.")
  endif()
endif()
if(NOT CMAKE_CUDA_ARCHITECTURES)
  set(CMAKE_CUDA_ARCHITECTURES 90 CACHE STRING "GPU architectures to compile for" FORCE)
endif()
foreach(architecture ${CMAKE_CUDA_ARCHITECTURES})
  if(NOT architecture MATCHES "^([0-9]+)[af]?(-real|-virtual)?$" OR CMAKE_MATCH_1 LESS 80)
    message(FATAL_ERROR "dsr: CMAKE_CUDA_ARCHITECTURES: ${architecture}, allowed numbers from 80 on (80 A100, "
                        "89 L40 and RTX 40, 90 H100 and H200, 100 B200); nearest 90")
  endif()
endforeach()
enable_language(CUDA)
if(DEFINED CMAKE_CUDA20_STANDARD_COMPILE_OPTION)
  set(CMAKE_CUDA_STANDARD 20)
  set(CMAKE_CUDA_STANDARD_REQUIRED ON)
  set(CMAKE_CUDA_EXTENSIONS OFF)
else()
  string(APPEND CMAKE_CUDA_FLAGS " -std=c++20")  # CMake 3.25.1 does not know that nvcc has C++20
endif()
set(CMAKE_CUDA_RUNTIME_LIBRARY Shared)  # one runtime in a process, shared with the vendor libraries
find_package(CUDAToolkit 12.4 REQUIRED)

# The folders nvidia/<package> of a Python environment: where pip and conda put cuDNN and NCCL.
find_program(DSR_PYTHON NAMES python3 python HINTS $ENV{VIRTUAL_ENV}/bin $ENV{CONDA_PREFIX}/bin
             DOC "Python whose site-packages/nvidia/* are looked at last")
mark_as_advanced(DSR_PYTHON)
set(DSR_PYTHON_NVIDIA "")
if(DSR_PYTHON)
  execute_process(COMMAND ${DSR_PYTHON} -c "import site, sysconfig
print(';'.join(dict.fromkeys([sysconfig.get_paths()['purelib'], sysconfig.get_paths()['platlib']] + site.getsitepackages() + [site.getusersitepackages()])))"
    OUTPUT_VARIABLE folders OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  foreach(folder ${folders})
    file(GLOB found "${folder}/nvidia/*")
    list(APPEND DSR_PYTHON_NVIDIA ${found})
    if(EXISTS "${folder}/include/cudnn_frontend.h")
      list(APPEND DSR_PYTHON_NVIDIA "${folder}")
    endif()
  endforeach()
endif()

# dsr_require_cuda(<package> <version> <what to install> [<more text>]): finds it, prints it, or says what was looked
# for where.
function(dsr_require_cuda package version install)
  find_package(${package} ${version} QUIET)
  if(NOT ${package}_FOUND)
    set(found "none")
    if(${package}_VERSION)
      set(found "version ${${package}_VERSION} (${${package}_INCLUDE_DIR})")
    endif()
    list(JOIN DSR_CUDA_HINTS ", " hints)
    list(JOIN DSR_PYTHON_NVIDIA ", " python)
    message(FATAL_ERROR "dsr: ${package}: ${found}, needed ${version} or newer.\n"
      "  looked for ${${package}_LOOKED_FOR}\n"
      "  in         CMAKE_PREFIX_PATH (${CMAKE_PREFIX_PATH}), ${hints}, the system's folders,\n"
      "             ${DSR_PYTHON}'s packages (${python})\n"
      "  install    ${install}; or set ${package}_ROOT, or ${package}_INCLUDE_DIR and ${package}_LIBRARY"
      ${ARGN})
  endif()
  message(STATUS "dsr: ${package} ${${package}_VERSION} (${${package}_INCLUDE_DIR} ${${package}_LIBRARY})")
endfunction()

message(STATUS "dsr: CUDA ${CUDAToolkit_VERSION} (${CMAKE_CUDA_COMPILER}) for ${CMAKE_CUDA_ARCHITECTURES}")
if(NOT TARGET CUDA::cublasLt)
  message(FATAL_ERROR "dsr: cuBLASLt not found beside the toolkit in ${CUDAToolkit_LIBRARY_DIR}: looked for libcublasLt.so. "
                      "Install libcublas-dev of the same CUDA version.")
endif()
dsr_require_cuda(NCCL 2.27 "libnccl-dev, or pip's nvidia-nccl-cu13")
dsr_require_cuda(CUDNN 9.0 "libcudnn9-dev-cuda-13, or pip's nvidia-cudnn-cu13")
include(DsrCudnnFrontend)
dsr_require_cuda(CudnnFrontend 1.12 "cudnn-frontend's headers, or pip's nvidia-cudnn-frontend"
                 "${dsr_frontend_failure}")
