// SPDX-License-Identifier: MIT
// Image and label files from a stranger. The first byte says which kind the rest is taken for.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include <splitvit/core/error.hpp>
#include <splitvit/data/cifar.hpp>
#include <splitvit/data/idx.hpp>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace splitvit;
  if (size == 0) return 0;
  const auto bytes = std::as_bytes(std::span{data + 1, size - 1});
  const auto check = [](bool fine) {
    if (!fine) std::abort();
  };
  try {
    switch (data[0] % 4) {
      case 0: {
        const auto images = data::parse_idx_images(bytes, "images");
        check(images.size() <= static_cast<Index>(size));
        break;
      }
      case 1:
        for (const Index label : data::parse_idx_labels(bytes, "labels"))
          check(label >= 0 && label < 32768);
        break;
      default: {
        const auto layout = data[0] % 4 == 2
                                ? data::CifarLayout{.image = 2}
                                : data::CifarLayout{.label_bytes = 2, .image = 3, .classes = 100};
        const auto set = data::parse_cifar(bytes, layout, "records");
        check(set.size() == set.images.dim(0));
        for (const Index label : set.labels) check(label >= 0 && label < set.classes());
      }
    }
  } catch (const StorageError&) {
    // what a bad file must give
  }
  return 0;
}
