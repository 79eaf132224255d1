# SPDX-License-Identifier: Apache-2.0
# Settings that every target of this build shares, as one interface target that is never installed.
add_library(dsr_settings INTERFACE)
target_compile_features(dsr_settings INTERFACE cxx_std_20)
target_compile_options(dsr_settings INTERFACE -Wall -Wextra -Wconversion -Wshadow)
if(DSR_WARNINGS_AS_ERRORS)
  target_compile_options(dsr_settings INTERFACE -Werror)
endif()
if(DSR_SANITIZE)
  target_compile_options(dsr_settings INTERFACE -fsanitize=${DSR_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(dsr_settings INTERFACE -fsanitize=${DSR_SANITIZE})
endif()
if(DSR_MARCH)
  target_compile_options(dsr_settings INTERFACE -march=${DSR_MARCH})
endif()

# A program linked with the library: an example, a benchmark, an installed tool.
function(dsr_add_program name)
  add_executable(${name} ${ARGN})
  target_link_libraries(${name} PRIVATE dsr::dsr dsr_settings)
endfunction()
