// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // sort

#include <splitvit/core/digest.hpp>     // Digest
#include <splitvit/core/shape.hpp>      // Index, Shape
#include <splitvit/io/safetensors.hpp>  // SafeTensors

namespace splitvit::inline SPLITVIT_BUILD::io {

/// A digest of all tensors of a file: names, kinds, shapes and numbers. Metadata and the order in
/// the file have no part in it.
inline Digest weights_digest(const SafeTensors& file) {
  std::vector<std::string> names = file.names();
  std::ranges::sort(names);
  Digest digest;
  for (const std::string& name : names) {
    digest.add_text(name);
    digest.add_text(file.kind(name));
    const auto extents = file.shape(name).extents();
    digest.add_number(extents.size());
    for (const Index extent : extents) digest.add_number(static_cast<std::uint64_t>(extent));
    digest.add_bytes(file.bytes(name));
  }
  return digest;
}

}  // namespace splitvit::inline SPLITVIT_BUILD::io
