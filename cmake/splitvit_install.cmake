# SPDX-License-Identifier: MIT
# Install rules: headers, and a package for find_package(splitvit) and one for pkg-config.

include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(splitvit_package_dir ${CMAKE_INSTALL_DATADIR}/cmake/splitvit)
install(TARGETS splitvit EXPORT splitvit_targets
  FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT splitvit_targets NAMESPACE splitvit:: FILE splitvit-targets.cmake
  DESTINATION ${splitvit_package_dir})
configure_package_config_file(cmake/splitvit-config.cmake.in
  ${CMAKE_CURRENT_BINARY_DIR}/splitvit-config.cmake INSTALL_DESTINATION ${splitvit_package_dir}
  NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/splitvit-config-version.cmake
  COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)  # SameMajorVersion from 1.0 on
install(FILES
  ${CMAKE_CURRENT_BINARY_DIR}/splitvit-config.cmake
  ${CMAKE_CURRENT_BINARY_DIR}/splitvit-config-version.cmake
  cmake/splitvit_images.cmake
  cmake/splitvit_mpi.cmake
  cmake/splitvit_separate.cmake
  cmake/splitvit_separate.cpp
  cmake/splitvit_tls.cmake
  cmake/splitvit_xsimd.cmake
  DESTINATION ${splitvit_package_dir})

# For projects without CMake. The folder of the file finds the headers, wherever both are moved to.
set(splitvit_pc_dir ${CMAKE_INSTALL_DATADIR}/pkgconfig)
cmake_path(RELATIVE_PATH CMAKE_INSTALL_PREFIX
  BASE_DIRECTORY ${CMAKE_INSTALL_PREFIX}/${splitvit_pc_dir} OUTPUT_VARIABLE splitvit_prefix_from_pc)
set(splitvit_pc_requires "eigen3")
if(splitvit_has_tbb)
  string(APPEND splitvit_pc_requires " tbb")
endif()
if(splitvit_has_xsimd)
  string(APPEND splitvit_pc_requires " xsimd")
endif()
configure_file(cmake/splitvit.pc.in splitvit.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/splitvit.pc DESTINATION ${splitvit_pc_dir})
