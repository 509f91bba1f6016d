# SPDX-License-Identifier: MIT
# Compiles SOURCE with COMPILER and the options in file FLAGS, once right and once wrong: with
# SPLITVIT_MISUSE=1, and with the options of its lines "// misuse: ".
cmake_minimum_required(VERSION 3.24...4.2)

file(STRINGS ${SOURCE} misuse_flags REGEX "^// misuse: ")
list(TRANSFORM misuse_flags REPLACE "^// misuse: " "")

function(compile misuse)
  set(flags "")
  if(misuse)
    set(flags ${misuse_flags})
  endif()
  execute_process(
    COMMAND ${COMPILER} -std=c++20 -fsyntax-only @${FLAGS} -DSPLITVIT_MISUSE=${misuse} ${flags} ${SOURCE}
    RESULT_VARIABLE result ERROR_VARIABLE output OUTPUT_VARIABLE output)
  set(result "${result}" PARENT_SCOPE)
  set(output "${output}" PARENT_SCOPE)
endfunction()

file(STRINGS ${SOURCE} wanted REGEX "^// error: ")
if(NOT wanted)
  message(FATAL_ERROR "${SOURCE}: no line starts with '// error: '")
endif()

compile(0)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "The right use was refused:\n${output}")
endif()

compile(1)
if(result EQUAL 0)
  message(FATAL_ERROR "The misuse compiles.")
endif()
foreach(line IN LISTS wanted)
  string(REGEX REPLACE "^// error: " "" regex "${line}")
  if(NOT output MATCHES "${regex}")
    message(FATAL_ERROR "The misuse was refused without a word of '${regex}':\n${output}")
  endif()
endforeach()
