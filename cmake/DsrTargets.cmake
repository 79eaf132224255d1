# SPDX-License-Identifier: Apache-2.0
# Settings that every target of this build shares, as one interface target that is never installed.
add_library(dsr_settings INTERFACE)
target_compile_features(dsr_settings INTERFACE cxx_std_20)
# nvcc passes on to the host compiler what -Xcompiler names. It compiles code of its own there, which is not clean at
# -Wconversion and -Wshadow.
target_compile_options(dsr_settings INTERFACE
  "$<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra;-Wconversion;-Wshadow>"
  "$<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-Wall,-Wextra>")
if(DSR_WARNINGS_AS_ERRORS)
  target_compile_options(dsr_settings INTERFACE
    "$<$<COMPILE_LANGUAGE:CXX>:-Werror>" "$<$<COMPILE_LANGUAGE:CUDA>:-Werror=all-warnings>")
endif()
if(DSR_SANITIZE)
  target_compile_options(dsr_settings INTERFACE
    "$<$<COMPILE_LANGUAGE:CXX>:-fsanitize=${DSR_SANITIZE};-fno-omit-frame-pointer>")
  target_link_options(dsr_settings INTERFACE -fsanitize=${DSR_SANITIZE})
endif()
if(DSR_MARCH)
  target_compile_options(dsr_settings INTERFACE "$<$<COMPILE_LANGUAGE:CXX>:-march=${DSR_MARCH}>")
endif()

# A program linked with the library: an example, a benchmark, an installed tool.
function(dsr_add_program name)
  add_executable(${name} ${ARGN})
  target_link_libraries(${name} PRIVATE dsr::dsr dsr_settings)
endfunction()
