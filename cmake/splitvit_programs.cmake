# SPDX-License-Identifier: MIT
# How our own programs (tests, examples, benchmarks) are built. Nothing here reaches a user:
# the flags sit on splitvit_programs, which is linked by our programs only.

option(SPLITVIT_NATIVE "Our own programs: code for this very processor" OFF)
option(SPLITVIT_WERROR "Our own programs: warnings are errors" OFF)
option(SPLITVIT_UNITY "Our own programs: compile files of a folder together" ON)
option(SPLITVIT_FUZZ "Build the fuzzers (clang only) instead of the programs that replay their inputs" OFF)
set(SPLITVIT_SANITIZE "" CACHE STRING "Our own programs: sanitizers, such as address,undefined")

get_property(multi_config GLOBAL PROPERTY GENERATOR_IS_MULTI_CONFIG)
if(NOT CMAKE_BUILD_TYPE AND NOT multi_config)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Type of build" FORCE)
endif()

find_program(SPLITVIT_CCACHE ccache)
mark_as_advanced(SPLITVIT_CCACHE)
if(SPLITVIT_CCACHE AND NOT DEFINED CMAKE_CXX_COMPILER_LAUNCHER
   AND NOT DEFINED ENV{CCACHE_DISABLE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${SPLITVIT_CCACHE})
endif()
set(CMAKE_CXX_EXTENSIONS OFF)
# Nothing here is a module. Where CMake looks for them, it also compiles each file by itself.
set(CMAKE_CXX_SCAN_FOR_MODULES OFF)

add_library(splitvit_programs INTERFACE)
target_link_libraries(splitvit_programs INTERFACE splitvit::splitvit)
# Without contraction the same expression gives the same bits wherever it is written;
# the kernels ask for fma by name.
target_compile_options(splitvit_programs INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wshadow -ffp-contract=off)
# g++ sees ghosts in its own intrinsics, strings and threads when it optimises hard; the other
# build types keep these warnings.
set(ghosts -Wno-uninitialized -Wno-maybe-uninitialized -Wno-array-bounds -Wno-restrict
  -Wno-stringop-overflow -Wno-stringop-overread -Wno-free-nonheap-object)
target_compile_options(splitvit_programs INTERFACE
  "$<$<AND:$<CXX_COMPILER_ID:GNU>,$<CONFIG:Release>>:${ghosts}>")
if(SPLITVIT_WERROR)
  target_compile_options(splitvit_programs INTERFACE -Werror)
endif()
if(SPLITVIT_NATIVE)
  target_compile_options(splitvit_programs INTERFACE -march=native)
endif()
if(SPLITVIT_SANITIZE)
  target_compile_options(splitvit_programs INTERFACE
    -fsanitize=${SPLITVIT_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(splitvit_programs INTERFACE -fsanitize=${SPLITVIT_SANITIZE})
endif()

# The larger templates for float, compiled once for the programs that link this, as splitvit::separate
# does for others.
add_library(splitvit_programs_separate STATIC EXCLUDE_FROM_ALL ${CMAKE_CURRENT_LIST_DIR}/splitvit_separate.cpp)
target_link_libraries(splitvit_programs_separate PUBLIC splitvit_programs)
target_compile_definitions(splitvit_programs_separate INTERFACE SPLITVIT_SEPARATE=1)

# splitvit_add_program(name source...): one program with the flags above.
function(splitvit_add_program name)
  add_executable(${name} ${ARGN})
  target_link_libraries(${name} PRIVATE splitvit_programs)
endfunction()

# splitvit_add_test(name labels command...): one ctest test.
function(splitvit_add_test name labels)
  add_test(NAME ${name} COMMAND ${ARGN})
  set_tests_properties(${name} PROPERTIES LABELS "${labels}" TIMEOUT 900)
endfunction()
