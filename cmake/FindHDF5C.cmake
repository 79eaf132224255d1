# SPDX-License-Identifier: Apache-2.0
# The C library of HDF5, serial or parallel, as target HDF5C::HDF5C, with HDF5C_VERSION. CMake's own FindHDF5 compiles a
# program in C, which this project does not enable, and links what HDF5 itself was built from.
#
# To choose one: HDF5_ROOT, or HDF5C_INCLUDE_DIR (where hdf5.h is) and HDF5C_LIBRARY (the file to link).
set(hdf5c_roots ${HDF5_ROOT} $ENV{HDF5_ROOT} $ENV{HDF5_DIR})
find_path(HDF5C_INCLUDE_DIR hdf5.h HINTS ${hdf5c_roots}
          PATH_SUFFIXES include hdf5/serial hdf5/openmpi hdf5/mpich)
# Debian has a header and a library for each flavour; elsewhere there is one.
set(hdf5c_flavour "")
if(HDF5C_INCLUDE_DIR MATCHES "/(hdf5/[a-z]+)/?$")
  set(hdf5c_flavour "${CMAKE_MATCH_1}")
endif()
get_filename_component(hdf5c_root "${HDF5C_INCLUDE_DIR}" DIRECTORY)
find_library(HDF5C_LIBRARY NAMES hdf5 HINTS ${hdf5c_root} ${hdf5c_roots}
             PATH_SUFFIXES ${hdf5c_flavour} ${CMAKE_LIBRARY_ARCHITECTURE}/${hdf5c_flavour} lib lib64)
mark_as_advanced(HDF5C_INCLUDE_DIR HDF5C_LIBRARY)

set(HDF5C_VERSION "")
if(HDF5C_INCLUDE_DIR)
  file(STRINGS "${HDF5C_INCLUDE_DIR}/H5public.h" hdf5c_lines REGEX "^#define H5_VERS_(MAJOR|MINOR|RELEASE)[ \t]+[0-9]")
  list(TRANSFORM hdf5c_lines REPLACE "^#define H5_VERS_[A-Z]+[ \t]+([0-9]+).*" "\\1")
  list(JOIN hdf5c_lines "." HDF5C_VERSION)
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(HDF5C REQUIRED_VARS HDF5C_LIBRARY HDF5C_INCLUDE_DIR VERSION_VAR HDF5C_VERSION)
if(HDF5C_FOUND AND NOT TARGET HDF5C::HDF5C)
  add_library(HDF5C::HDF5C UNKNOWN IMPORTED)
  set_target_properties(HDF5C::HDF5C PROPERTIES IMPORTED_LOCATION "${HDF5C_LIBRARY}"
                                                INTERFACE_INCLUDE_DIRECTORIES "${HDF5C_INCLUDE_DIR}")
endif()
