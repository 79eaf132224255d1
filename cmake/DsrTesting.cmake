# SPDX-License-Identifier: Apache-2.0
# dsr_add_test(<name> SOURCES <file>… [RANKS <n>…] [GPU] [GPU_RANKS <n>…] [LABELS <label>…] [TIMEOUT <seconds>]
#              [LIBRARIES <target>…])
#
# One test program of Catch2 cases. Without RANKS it runs alone; with RANKS it is launched by mpirun once for each
# number, as test <name>.np<n>, and its main reduces the result over the ranks. A program that exits with 77 is skipped.
#
# GPU        the program needs a GPU: it is built with DSR_CUDA=ON only, and its tests are called <name>.gpu or
#            <name>.gpu.np<n>
# GPU_RANKS  a program with RANKS that runs on GPUs too, as <name>.gpu.np<n>: test::runtime() is on CUDA then
#
# GPU tests have the label gpu, run one at a time, and are skipped where there is no GPU. Where ranks outnumber GPUs
# tests/support/gpu_rank.sh lets each rank pass for a host of its own.
find_package(Catch2 REQUIRED)

add_library(dsr_test_support STATIC ${PROJECT_SOURCE_DIR}/tests/support/main.cpp)
target_include_directories(dsr_test_support PUBLIC ${PROJECT_SOURCE_DIR}/tests ${PROJECT_SOURCE_DIR})
target_link_libraries(dsr_test_support PUBLIC dsr::dsr dsr_settings Catch2::Catch2)

add_library(dsr_test_support_mpi STATIC ${PROJECT_SOURCE_DIR}/tests/support/main_mpi.cpp)
target_include_directories(dsr_test_support_mpi PUBLIC ${PROJECT_SOURCE_DIR}/tests ${PROJECT_SOURCE_DIR})
target_link_libraries(dsr_test_support_mpi PUBLIC dsr::dsr dsr_settings Catch2::Catch2 MPI::MPI_CXX)

# Disks that lose power and calls that fail, for LIBRARIES of tests that write files.
add_library(dsr_test_disk STATIC EXCLUDE_FROM_ALL
  ${PROJECT_SOURCE_DIR}/tests/support/faulty_files.cpp
  ${PROJECT_SOURCE_DIR}/tests/support/simulated_content.cpp
  ${PROJECT_SOURCE_DIR}/tests/support/simulated_disk.cpp
  ${PROJECT_SOURCE_DIR}/tests/support/simulated_file.cpp
  ${PROJECT_SOURCE_DIR}/tests/support/simulated_tree.cpp)
target_include_directories(dsr_test_disk PUBLIC ${PROJECT_SOURCE_DIR}/tests ${PROJECT_SOURCE_DIR})
target_link_libraries(dsr_test_disk PUBLIC dsr::dsr dsr_settings)

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
      "TSAN_OPTIONS=suppressions=${suppressions}/tsan.supp:history_size=7")
endif()

# dsr_add_rank_test(<test> <program> <ranks> [<wrapper>]): one launch of a program by mpirun.
function(dsr_add_rank_test test program ranks)
  add_test(NAME ${test} COMMAND ${DSR_MPIRUN} -np ${ranks} ${ARGN} $<TARGET_FILE:${program}>)
  set_tests_properties(${test} PROPERTIES PROCESSORS 2)
endfunction()

add_custom_target(gpu_tests COMMENT "Test programs that run on a GPU")

function(dsr_add_test name)
  cmake_parse_arguments(ARG "GPU" "TIMEOUT" "SOURCES;RANKS;GPU_RANKS;LABELS;LIBRARIES" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  math(EXPR ARG_TIMEOUT "${ARG_TIMEOUT} * ${DSR_TIMEOUT_FACTOR}")
  if(ARG_GPU)
    list(APPEND ARG_GPU_RANKS ${ARG_RANKS})
    set(ARG_RANKS "")
  endif()
  if(NOT DSR_CUDA)
    if(ARG_GPU)
      return()
    endif()
    set(ARG_GPU_RANKS "")
  endif()

  add_executable(${name} ${ARG_SOURCES})
  if(ARG_GPU)
    target_link_libraries(${name} PRIVATE CUDA::cudart NCCL::NCCL)  # for the headers of <dsr/cuda.hpp>
  endif()
  set(gpu_tests "")
  if(ARG_RANKS OR ARG_GPU_RANKS)
    target_link_libraries(${name} PRIVATE dsr_test_support_mpi ${ARG_LIBRARIES})
    foreach(ranks ${ARG_RANKS})
      dsr_add_rank_test(${name}.np${ranks} ${name} ${ranks})
      list(APPEND tests ${name}.np${ranks})
    endforeach()
    foreach(ranks ${ARG_GPU_RANKS})
      dsr_add_rank_test(${name}.gpu.np${ranks} ${name} ${ranks} bash ${PROJECT_SOURCE_DIR}/tests/support/gpu_rank.sh)
      list(APPEND gpu_tests ${name}.gpu.np${ranks})
    endforeach()
  else()
    target_link_libraries(${name} PRIVATE dsr_test_support ${ARG_LIBRARIES})
    if(ARG_GPU)
      add_test(NAME ${name}.gpu COMMAND ${name})
      list(APPEND gpu_tests ${name}.gpu)
    else()
      add_test(NAME ${name} COMMAND ${name})
      list(APPEND tests ${name})
    endif()
  endif()
  if(tests)
    set_tests_properties(${tests} PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${ARG_LABELS}" SKIP_RETURN_CODE 77
                                             ENVIRONMENT "${DSR_TEST_ENVIRONMENT}")
  endif()
  if(gpu_tests)
    add_dependencies(gpu_tests ${name})
    set_tests_properties(${gpu_tests} PROPERTIES
      TIMEOUT ${ARG_TIMEOUT} LABELS "gpu;${ARG_LABELS}" SKIP_RETURN_CODE 77 RESOURCE_LOCK gpu
      ENVIRONMENT "${DSR_TEST_ENVIRONMENT};DSR_TEST_DEVICE=cuda")
  endif()
endfunction()
