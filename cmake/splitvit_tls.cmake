# SPDX-License-Identifier: MIT
# splitvit::tls: the optional part that protects links, with OpenSSL 3. Where that is missing, or
# SPLITVIT_USE_TLS is OFF, there is no such target. Installed with the package.

if(NOT TARGET splitvit::tls AND NOT "${SPLITVIT_USE_TLS}" STREQUAL "OFF")
  if(NOT TARGET OpenSSL::SSL)
    find_package(OpenSSL 3.0 QUIET GLOBAL COMPONENTS SSL Crypto)
  endif()
  if(TARGET OpenSSL::SSL)
    add_library(splitvit::tls INTERFACE IMPORTED GLOBAL)
    target_link_libraries(splitvit::tls INTERFACE splitvit::splitvit OpenSSL::SSL OpenSSL::Crypto)
  elseif("${SPLITVIT_USE_TLS}" STREQUAL "ON")
    message(FATAL_ERROR "SPLITVIT_USE_TLS is ON but OpenSSL 3 was not found "
                        "(Debian and Ubuntu: apt-get install libssl-dev)")
  endif()
endif()
