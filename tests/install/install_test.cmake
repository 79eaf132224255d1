# SPDX-License-Identifier: Apache-2.0
# cmake -DSOURCE=… -DBUILD=… -DWORK=… -DCOMPILER=… -DLAUNCHER=… -DMPIRUN=… [-DCONFIGURE=<options>] -P install_test.cmake
#
# Installs a build of dsr into an empty prefix, builds the outside project against it, and runs that on 1 and 2 ranks.
# With CONFIGURE, a list of options, BUILD is configured with them and built first.
function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT result EQUAL 0)
    string(REPLACE ";" " " command "${ARGN}")
    message(FATAL_ERROR "failed: ${command}\n${output}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()

set(compiler -DCMAKE_CXX_COMPILER=${COMPILER} -DCMAKE_CXX_COMPILER_LAUNCHER=${LAUNCHER})
if(CONFIGURE)
  run(${CMAKE_COMMAND} -G Ninja -S ${SOURCE} -B ${BUILD} ${compiler} -DDSR_EXAMPLES=OFF -DDSR_TESTS=OFF
      -DDSR_BENCHMARKS=OFF ${CONFIGURE})
  if(output MATCHES "CMake [A-Za-z ]*Warning")
    message(FATAL_ERROR "configuring warns:\n${output}")
  endif()
  run(${CMAKE_COMMAND} --build ${BUILD})
endif()

file(REMOVE_RECURSE ${WORK})
run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${WORK}/prefix)

# The package must not name what only the library's own sources use, nor paths of the source tree.
file(GLOB_RECURSE package_files ${WORK}/prefix/dsr-*.cmake)
if(NOT package_files)
  message(FATAL_ERROR "no package file was installed below ${WORK}/prefix")
endif()
foreach(file ${package_files})
  file(READ ${file} text)
  foreach(name fmt spdlog nlohmann CLI11 dsr_settings -march= "${SOURCE}/include")
    string(FIND "${text}" "${name}" at)
    if(NOT at EQUAL -1)
      message(FATAL_ERROR "${file} mentions ${name}")
    endif()
  endforeach()
endforeach()

run(${CMAKE_COMMAND} -G Ninja -S ${SOURCE}/tests/install/outside -B ${WORK}/outside ${compiler}
    -DCMAKE_PREFIX_PATH=${WORK}/prefix)
if(output MATCHES "CMake [A-Za-z ]*Warning")
  message(FATAL_ERROR "find_package(dsr) warns:\n${output}")
endif()
run(${CMAKE_COMMAND} --build ${WORK}/outside)
run(${WORK}/outside/outside)
message(STATUS "${output}")
run(${MPIRUN} -np 2 ${WORK}/outside/outside)
message(STATUS "${output}")
if(NOT output MATCHES "row=2 col=1: 6 rows")
  message(FATAL_ERROR "two ranks printed:\n${output}")
endif()
