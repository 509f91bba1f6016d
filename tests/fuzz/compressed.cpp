// SPDX-License-Identifier: MIT
// Compressed files from a stranger. The first byte says which kind the rest is taken for.
//
// -malloc_limit_mb=64

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include <splitvit/core/error.hpp>
#include <splitvit/images/gzip.hpp>
#include <splitvit/images/npz.hpp>
#include <splitvit/images/zip.hpp>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace splitvit;
  if (size == 0) return 0;
  constexpr std::size_t limit = 1 << 20;
  const auto bytes = std::as_bytes(std::span{data + 1, size - 1});
  const auto check = [](bool fine) {
    if (!fine) std::abort();
  };
  try {
    switch (data[0] % 3) {
      case 0:
        check(images::gunzip(bytes, limit, "file").size() <= limit);
        break;
      case 1: {
        const images::ZipArchive archive{bytes, "zip"};
        for (const auto& entry : archive.entries())
          check(archive.read(entry.name, limit).size() <= limit);
        break;
      }
      default: {
        const auto array = images::parse_npy({bytes.begin(), bytes.end()}, "array");
        if (array.shape.size() < 3)
          for (const Index label : images::npy_labels(array, "array"))
            check(label >= 0 && label < 65536);
        else
          check(images::npy_images(array, "array").size() <= static_cast<Index>(size));
      }
    }
  } catch (const StorageError&) {
    // what a bad file must give
  }
  return 0;
}
