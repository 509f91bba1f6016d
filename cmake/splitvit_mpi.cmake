# SPDX-License-Identifier: MIT
# splitvit::mpi: the optional part for clusters, with MPI 3. It is made where SPLITVIT_USE_MPI is ON, or
# AUTO and an MPI is found; OFF, or nothing, leaves it out. Installed with the package.

if(NOT TARGET splitvit::mpi AND "${SPLITVIT_USE_MPI}" MATCHES "^(AUTO|ON)$")
  set(MPI_CXX_SKIP_MPICXX ON)  # its C++ bindings are gone from the standard
  find_package(MPI 3.0 QUIET GLOBAL COMPONENTS CXX)
  if(MPI_CXX_FOUND)  # a target MPI::MPI_CXX there is in any case
    add_library(splitvit::mpi INTERFACE IMPORTED GLOBAL)
    target_link_libraries(splitvit::mpi INTERFACE splitvit::splitvit MPI::MPI_CXX)
  elseif("${SPLITVIT_USE_MPI}" STREQUAL "ON")
    message(FATAL_ERROR "SPLITVIT_USE_MPI is ON but no MPI was found "
                        "(Debian and Ubuntu: apt-get install libopenmpi-dev)")
  endif()
endif()
