# SPDX-License-Identifier: Apache-2.0
# A BLAS with the CBLAS interface, as target CBLAS::CBLAS. OpenBLAS's OpenMP flavour comes first: it shares the
# library's threads, where another flavour would start threads of its own beside them.
#
# For MKL, BLIS or another place set CBLAS_INCLUDE_DIR (where cblas.h is) and CBLAS_LIBRARY (the file to link).
find_path(CBLAS_INCLUDE_DIR cblas.h
          PATH_SUFFIXES openblas-openmp ${CMAKE_LIBRARY_ARCHITECTURE}/openblas-openmp openblas openblas-pthread)
find_library(CBLAS_LIBRARY NAMES openblas PATH_SUFFIXES openblas-openmp openblas openblas-pthread)
mark_as_advanced(CBLAS_INCLUDE_DIR CBLAS_LIBRARY)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(CBLAS REQUIRED_VARS CBLAS_LIBRARY CBLAS_INCLUDE_DIR)
if(CBLAS_FOUND AND NOT TARGET CBLAS::CBLAS)
  add_library(CBLAS::CBLAS UNKNOWN IMPORTED)
  set_target_properties(CBLAS::CBLAS PROPERTIES IMPORTED_LOCATION "${CBLAS_LIBRARY}"
                                                INTERFACE_INCLUDE_DIRECTORIES "${CBLAS_INCLUDE_DIR}")
endif()
