# SPDX-License-Identifier: MIT
# splitvit::xsimd: the include path of xsimd and nothing else. The target that some
# distributions ship also links a library that does not exist. Installed with the package.

if(NOT TARGET splitvit::xsimd)
  if(NOT TARGET xsimd AND NOT TARGET xsimd::xsimd)
    find_package(xsimd CONFIG QUIET)
  endif()
  foreach(found IN ITEMS xsimd xsimd::xsimd)
    if(TARGET ${found} AND NOT TARGET splitvit::xsimd)
      get_target_property(dirs ${found} INTERFACE_INCLUDE_DIRECTORIES)
      add_library(splitvit::xsimd INTERFACE IMPORTED GLOBAL)
      target_include_directories(splitvit::xsimd INTERFACE ${dirs})
    endif()
  endforeach()
endif()
