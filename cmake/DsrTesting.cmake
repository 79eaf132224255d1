# SPDX-License-Identifier: Apache-2.0
# dsr_add_test(<name> SOURCES <file>… [RANKS <n>…] [LABELS <label>…] [TIMEOUT <seconds>] [LIBRARIES <target>…])
#
# One test program of Catch2 cases. Without RANKS it runs alone; with RANKS it is launched by mpirun once for each
# number, as test <name>.np<n>, and its main reduces the result over the ranks. A program that exits with 77 is skipped.
find_package(Catch2 REQUIRED)

add_library(dsr_test_support STATIC ${PROJECT_SOURCE_DIR}/tests/support/main.cpp)
target_include_directories(dsr_test_support PUBLIC ${PROJECT_SOURCE_DIR}/tests ${PROJECT_SOURCE_DIR})
target_link_libraries(dsr_test_support PUBLIC dsr::dsr dsr_settings Catch2::Catch2)

add_library(dsr_test_support_mpi STATIC ${PROJECT_SOURCE_DIR}/tests/support/main_mpi.cpp)
target_include_directories(dsr_test_support_mpi PUBLIC ${PROJECT_SOURCE_DIR}/tests ${PROJECT_SOURCE_DIR})
target_link_libraries(dsr_test_support_mpi PUBLIC dsr::dsr dsr_settings Catch2::Catch2 MPI::MPI_CXX)

# Catch2 takes long to optimise and gains nothing: its runner is not optimised at all, and tests only a little.
foreach(support dsr_test_support dsr_test_support_mpi)
  target_compile_options(${support} PRIVATE -O0 INTERFACE "$<$<NOT:$<CONFIG:Debug>>:-O1>")
endforeach()

set(DSR_MPIRUN ${MPIEXEC_EXECUTABLE})
execute_process(COMMAND ${MPIEXEC_EXECUTABLE} --version OUTPUT_VARIABLE version ERROR_VARIABLE version)
if(version MATCHES "Open MPI|OpenRTE")
  list(APPEND DSR_MPIRUN --allow-run-as-root --oversubscribe --bind-to none)
endif()

# Threads that wait must not spin: ctest and mpirun start more of them than there are cores.
set(DSR_TEST_ENVIRONMENT "OMP_WAIT_POLICY=passive")
set(DSR_TIMEOUT_FACTOR 1)
# What a sanitizer needs to know about Open MPI; and it slows programs down.
if(DSR_SANITIZE)
  set(DSR_TIMEOUT_FACTOR 4)
  set(suppressions ${PROJECT_SOURCE_DIR}/tests/support)
  list(APPEND DSR_TEST_ENVIRONMENT
      "LSAN_OPTIONS=suppressions=${suppressions}/lsan.supp:print_suppressions=0"
      "ASAN_OPTIONS=fast_unwind_on_malloc=0:detect_leaks=1"
      "UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1"
      "TSAN_OPTIONS=suppressions=${suppressions}/tsan.supp")
endif()

function(dsr_add_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;RANKS;LABELS;LIBRARIES" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  math(EXPR ARG_TIMEOUT "${ARG_TIMEOUT} * ${DSR_TIMEOUT_FACTOR}")
  add_executable(${name} ${ARG_SOURCES})
  if(ARG_RANKS)
    target_link_libraries(${name} PRIVATE dsr_test_support_mpi ${ARG_LIBRARIES})
    foreach(ranks ${ARG_RANKS})
      add_test(NAME ${name}.np${ranks} COMMAND ${DSR_MPIRUN} -np ${ranks} $<TARGET_FILE:${name}>)
      list(APPEND tests ${name}.np${ranks})
      set_tests_properties(${name}.np${ranks} PROPERTIES PROCESSORS 2)
    endforeach()
  else()
    target_link_libraries(${name} PRIVATE dsr_test_support ${ARG_LIBRARIES})
    add_test(NAME ${name} COMMAND ${name})
    set(tests ${name})
  endif()
  set_tests_properties(${tests} PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${ARG_LABELS}" SKIP_RETURN_CODE 77
                                           ENVIRONMENT "${DSR_TEST_ENVIRONMENT}")
endfunction()
