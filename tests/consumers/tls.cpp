// SPDX-License-Identifier: MIT
// A stranger's program that protects links: the optional part, found as a component.
#include <cstdio>

#include <splitvit/transport/tls.hpp>

int main() {
  try {
    splitvit::transport::TlsContext{splitvit::transport::TlsRole::server,
                                    {.pre_shared_key = "no such key"}};
  } catch (const splitvit::StorageError& error) {
    std::printf("%s\n", error.what());
    return 0;
  }
  return 1;
}
