# SPDX-License-Identifier: Apache-2.0
# cmake --install: headers, the library, and the package that find_package(dsr) reads.
include(CMakePackageConfigHelpers)
set(dsr_package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/dsr")

install(TARGETS dsr EXPORT dsr-targets)
install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/dsr" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
        FILES_MATCHING PATTERN "*.hpp")
install(EXPORT dsr-targets NAMESPACE dsr:: DESTINATION "${dsr_package_dir}")

get_target_property(dsr_type dsr TYPE)
set(dsr_is_static OFF)
if(dsr_type STREQUAL "STATIC_LIBRARY")
  set(dsr_is_static ON)
  install(FILES "${PROJECT_SOURCE_DIR}/cmake/FindCBLAS.cmake" "${PROJECT_SOURCE_DIR}/cmake/FindHDF5C.cmake"
                "${PROJECT_SOURCE_DIR}/cmake/FindZstd.cmake"
          DESTINATION "${dsr_package_dir}")
  if(DSR_CUDA)
    install(FILES "${PROJECT_SOURCE_DIR}/cmake/FindNCCL.cmake" "${PROJECT_SOURCE_DIR}/cmake/FindCUDNN.cmake"
            DESTINATION "${dsr_package_dir}")
  endif()
endif()
configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/dsr-config.cmake.in"
                              "${PROJECT_BINARY_DIR}/dsr-config.cmake"
                              INSTALL_DESTINATION "${dsr_package_dir}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/dsr-config-version.cmake"
                                 COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/dsr-config.cmake" "${PROJECT_BINARY_DIR}/dsr-config-version.cmake"
        DESTINATION "${dsr_package_dir}")

if(DSR_MARCH STREQUAL "native")
  install(CODE "message(STATUS \"dsr: compiled for this machine's CPU (DSR_MARCH=native); \"
                               \"for other machines configure with -DDSR_MARCH=x86-64-v3 or -DDSR_MARCH=\")")
endif()
