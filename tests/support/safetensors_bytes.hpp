// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>  // byte, size_t
#include <cstdint>  // uint64_t
#include <span>     // span, as_bytes
#include <string>   // string
#include <vector>   // vector

#include <splitvit/core/bytes.hpp>  // ByteWriter

// A safetensors file put together by hand, so that each part can be wrong.

namespace support {

/// The length of the header, the header as given, then `data` bytes 0, 1, 2, ...
inline std::vector<std::byte> safetensors_bytes(const std::string& header, std::size_t data) {
  std::vector<std::byte> out;
  splitvit::ByteWriter writer{out};
  writer.put(static_cast<std::uint64_t>(header.size()));
  writer.put_bytes(std::as_bytes(std::span{header}));
  for (std::size_t i = 0; i < data; ++i) out.push_back(static_cast<std::byte>(i & 255u));
  return out;
}

}  // namespace support
