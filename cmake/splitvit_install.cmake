# SPDX-License-Identifier: MIT
# Install rules: headers, and a package for find_package(splitvit).

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
  cmake/splitvit_xsimd.cmake
  DESTINATION ${splitvit_package_dir})
