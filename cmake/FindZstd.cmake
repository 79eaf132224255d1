# SPDX-License-Identifier: Apache-2.0
# Zstandard's C library as target Zstd::Zstd, with Zstd_VERSION. Its own package files are not installed everywhere, and
# name their targets differently.
#
# To choose one: Zstd_ROOT, or ZSTD_INCLUDE_DIR (where zstd.h is) and ZSTD_LIBRARY (the file to link).
find_path(ZSTD_INCLUDE_DIR zstd.h)
find_library(ZSTD_LIBRARY NAMES zstd)
mark_as_advanced(ZSTD_INCLUDE_DIR ZSTD_LIBRARY)

set(Zstd_VERSION "")
if(ZSTD_INCLUDE_DIR)
  file(STRINGS "${ZSTD_INCLUDE_DIR}/zstd.h" zstd_lines REGEX "^#define ZSTD_VERSION_(MAJOR|MINOR|RELEASE)[ \t]+[0-9]")
  list(TRANSFORM zstd_lines REPLACE "^#define ZSTD_VERSION_[A-Z]+[ \t]+([0-9]+).*" "\\1")
  list(JOIN zstd_lines "." Zstd_VERSION)
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Zstd REQUIRED_VARS ZSTD_LIBRARY ZSTD_INCLUDE_DIR VERSION_VAR Zstd_VERSION)
if(Zstd_FOUND AND NOT TARGET Zstd::Zstd)
  add_library(Zstd::Zstd UNKNOWN IMPORTED)
  set_target_properties(Zstd::Zstd PROPERTIES IMPORTED_LOCATION "${ZSTD_LIBRARY}"
                                              INTERFACE_INCLUDE_DIRECTORIES "${ZSTD_INCLUDE_DIR}")
endif()
