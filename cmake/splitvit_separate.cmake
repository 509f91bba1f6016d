# SPDX-License-Identifier: MIT
# splitvit::separate: the same library, with its larger templates for float compiled once, into a
# static library, and not in each file that uses them. It must be compiled for the instruction set
# of these files; otherwise the program does not link. Options that only some targets have go here,
# too: target_compile_options(splitvit_separate PRIVATE -march=native)

add_library(splitvit_separate STATIC ${CMAKE_CURRENT_LIST_DIR}/splitvit_separate.cpp)
add_library(splitvit::separate ALIAS splitvit_separate)
target_link_libraries(splitvit_separate PUBLIC splitvit::splitvit)
target_compile_definitions(splitvit_separate INTERFACE SPLITVIT_SEPARATE=1)
