# SPDX-License-Identifier: MIT
# splitvit::images: the optional part that reads JPEG, PNG and compressed files, with the libraries
# it needs. Where one of them is missing there is no such target, and splitvit_images_missing names
# what to install. Installed with the package.

if(NOT TARGET splitvit::images)
  set(splitvit_images_missing "")
  foreach(found IN ITEMS JPEG PNG ZLIB)
    if(NOT TARGET ${found}::${found})
      find_package(${found} QUIET GLOBAL)
    endif()
    if(NOT TARGET ${found}::${found})
      list(APPEND splitvit_images_missing ${found})
    endif()
  endforeach()
  list(TRANSFORM splitvit_images_missing REPLACE "JPEG" "libjpeg-dev")
  list(TRANSFORM splitvit_images_missing REPLACE "PNG" "libpng-dev")
  list(TRANSFORM splitvit_images_missing REPLACE "ZLIB" "zlib1g-dev")
  list(JOIN splitvit_images_missing " " splitvit_images_missing)
  if(NOT splitvit_images_missing)
    add_library(splitvit::images INTERFACE IMPORTED GLOBAL)
    target_link_libraries(splitvit::images INTERFACE
      splitvit::splitvit JPEG::JPEG PNG::PNG ZLIB::ZLIB)
  endif()
endif()
