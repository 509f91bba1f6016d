// SPDX-License-Identifier: MIT
// A stranger's program that reads images: the optional part, found as a component.
#include <cstddef>
#include <cstdio>
#include <vector>

#include <splitvit/images.hpp>

int main() {
  try {
    splitvit::images::decode_image(std::vector<std::byte>(8), "eight zeros");
  } catch (const splitvit::StorageError& error) {
    std::printf("%s\n", error.what());
    return 0;
  }
  return 1;
}
