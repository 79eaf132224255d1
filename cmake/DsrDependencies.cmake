# SPDX-License-Identifier: Apache-2.0
# Finds what the library is built from. All of it is linked PRIVATE: users of dsr::dsr need none of the headers.
find_package(MPI 3.1 COMPONENTS C)
if(NOT MPI_C_FOUND)
  message(FATAL_ERROR "dsr: MPI not found. Install openmpi-bin and libopenmpi-dev (or MPICH), "
                      "or run: bash cmake/install_deps.sh")
endif()

find_path(CBLAS_INCLUDE_DIR cblas.h PATH_SUFFIXES openblas-openmp openblas openblas-pthread)
find_library(CBLAS_LIBRARY NAMES openblas
             PATH_SUFFIXES openblas-openmp openblas openblas-pthread)
if(NOT CBLAS_INCLUDE_DIR OR NOT CBLAS_LIBRARY)
  message(FATAL_ERROR "dsr: a CBLAS (OpenBLAS, MKL, BLIS) was not found: looked for cblas.h and libopenblas. "
                      "Install libopenblas-openmp-dev, or set CBLAS_INCLUDE_DIR and CBLAS_LIBRARY")
endif()
add_library(dsr_cblas INTERFACE IMPORTED)
target_include_directories(dsr_cblas INTERFACE "${CBLAS_INCLUDE_DIR}")
target_link_libraries(dsr_cblas INTERFACE "${CBLAS_LIBRARY}")

if(DSR_OPENMP)
  find_package(OpenMP COMPONENTS CXX REQUIRED)
endif()
find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)

find_path(TOMLPP_INCLUDE_DIR toml++/toml.h)
if(NOT TOMLPP_INCLUDE_DIR)
  message(FATAL_ERROR "dsr: toml++ not found: looked for toml++/toml.h. Install libtomlplusplus-dev")
endif()
