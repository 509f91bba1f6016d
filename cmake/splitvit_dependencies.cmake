# SPDX-License-Identifier: MIT
# What the headers need: threads and Eigen; oneTBB and xsimd where they are found.
# Sets splitvit_has_tbb and splitvit_has_xsimd to 1 or 0. Says nothing unless it fails.

find_package(Threads REQUIRED QUIET)

if(NOT TARGET Eigen3::Eigen)
  find_package(Eigen3 REQUIRED CONFIG QUIET)  # no version: a request for 3.4 refuses 5
  if(Eigen3_VERSION VERSION_LESS 3.4)
    message(FATAL_ERROR "splitvit needs Eigen 3.4 or newer, found ${Eigen3_VERSION}")
  endif()
endif()

set(splitvit_has_tbb 0)
if(NOT SPLITVIT_USE_TBB STREQUAL "OFF")
  if(NOT TARGET TBB::tbb)
    find_package(TBB 2021.5 CONFIG QUIET)
  endif()
  if(TARGET TBB::tbb)
    set(splitvit_has_tbb 1)
  elseif(SPLITVIT_USE_TBB STREQUAL "ON")
    message(FATAL_ERROR "SPLITVIT_USE_TBB is ON but oneTBB 2021.5 or newer was not found")
  endif()
endif()

set(splitvit_has_xsimd 0)
if(NOT SPLITVIT_USE_XSIMD STREQUAL "OFF")
  include(${CMAKE_CURRENT_LIST_DIR}/splitvit_xsimd.cmake)
  if(TARGET splitvit::xsimd)
    set(splitvit_has_xsimd 1)
  elseif(SPLITVIT_USE_XSIMD STREQUAL "ON")
    message(FATAL_ERROR "SPLITVIT_USE_XSIMD is ON but xsimd was not found")
  endif()
endif()
