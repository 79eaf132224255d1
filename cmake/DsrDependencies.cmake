# SPDX-License-Identifier: Apache-2.0
# Finds what the library is built from. All of it is linked PRIVATE: users of dsr::dsr need none of the headers.

# dsr_require(<found> <what> <packages>): stops with the names of the packages to install.
function(dsr_require found what packages)
  if(NOT ${found})
    message(FATAL_ERROR "dsr: ${what} not found. Install ${packages}, or run: bash cmake/install_deps.sh")
  endif()
endfunction()

# Only the C interface of MPI is used. Without this, Open MPI's and MPICH's mpi.h bring the C++ classes that
# MPI 3 removed, and the library that implements them.
set(MPI_CXX_SKIP_MPICXX ON)
find_package(MPI 3.1 QUIET COMPONENTS CXX)
dsr_require(MPI_CXX_FOUND "MPI 3.1" "openmpi-bin and libopenmpi-dev, or MPICH 4")

find_package(CBLAS QUIET)
dsr_require(CBLAS_FOUND "a CBLAS (cblas.h and its library)" "libopenblas-openmp-dev")

if(DSR_OPENMP)
  find_package(OpenMP QUIET COMPONENTS CXX)
  dsr_require(OpenMP_CXX_FOUND "OpenMP" "a compiler that has it (g++ does), or set DSR_OPENMP=OFF")
endif()
find_package(Threads REQUIRED)

find_package(HDF5C 1.10.8 QUIET)
dsr_require(HDF5C_FOUND "HDF5 1.10.8 or newer (hdf5.h and its library)" "libhdf5-dev")

find_package(Zstd 1.4 QUIET)
dsr_require(Zstd_FOUND "Zstandard 1.4 or newer (zstd.h and its library)" "libzstd-dev")

# Used by sources only, in header-only form.
find_path(XXHASH_INCLUDE_DIR xxhash.h)
mark_as_advanced(XXHASH_INCLUDE_DIR)
dsr_require(XXHASH_INCLUDE_DIR "xxHash (xxhash.h)" "libxxhash-dev")
find_package(fmt QUIET)
dsr_require(fmt_FOUND "fmt" "libfmt-dev")
find_package(spdlog QUIET)
dsr_require(spdlog_FOUND "spdlog" "libspdlog-dev")
find_package(nlohmann_json QUIET)
dsr_require(nlohmann_json_FOUND "nlohmann-json" "nlohmann-json3-dev")
find_package(CLI11 QUIET)
dsr_require(CLI11_FOUND "CLI11" "libcli11-dev")
find_path(TOMLPP_INCLUDE_DIR toml++/toml.h)
mark_as_advanced(TOMLPP_INCLUDE_DIR)
dsr_require(TOMLPP_INCLUDE_DIR "toml++ (toml++/toml.h)" "libtomlplusplus-dev")
