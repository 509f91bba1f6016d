// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>  // byte, size_t
#include <cstdint>  // uint32_t
#include <span>     // span
#include <string>   // string
#include <utility>  // pair
#include <vector>   // vector

#include <zlib.h>

// gzip, zip and .npy files in memory.

namespace support {

using PlainBytes = std::vector<std::byte>;

/// Deflated with zlib; `window` is its windowBits: 31 for a gzip file, -15 for no header at all.
inline PlainBytes deflated(std::span<const std::byte> bytes, int window) {
  z_stream stream{};
  deflateInit2(&stream, 9, Z_DEFLATED, window, 9, Z_DEFAULT_STRATEGY);
  PlainBytes out(deflateBound(&stream, static_cast<uLong>(bytes.size())) + 64);
  stream.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

inline PlainBytes gzipped(std::span<const std::byte> bytes) { return deflated(bytes, 31); }

/// A zip archive of named files, deflated or stored.
inline PlainBytes zip_bytes(const std::vector<std::pair<std::string, PlainBytes>>& files,
                            bool deflate_them) {
  PlainBytes out, directory;
  const auto put = [](PlainBytes& to, std::size_t value, int width) {
    for (int k = 0; k < width; ++k, value >>= 8) to.push_back(static_cast<std::byte>(value & 255));
  };
  const auto append = [](PlainBytes& to, std::span<const std::byte> bytes) {
    to.insert(to.end(), bytes.begin(), bytes.end());
  };
  for (const auto& [name, content] : files) {
    const PlainBytes packed = deflate_them ? deflated(content, -15) : content;
    const std::size_t offset = out.size();
    // What both headers have: version, flags, method, time, checksum, sizes, length of the name.
    PlainBytes common;
    put(common, 20, 2);
    put(common, 0, 2);
    put(common, deflate_them ? 8 : 0, 2);
    put(common, 0, 4);
    put(common, crc32_z(0, reinterpret_cast<const Bytef*>(content.data()), content.size()), 4);
    put(common, packed.size(), 4);
    put(common, content.size(), 4);
    put(common, name.size(), 2);
    put(out, 0x04034B50, 4);
    append(out, common);
    put(out, 3, 2);  // an extra field, as NumPy writes one
    append(out, std::as_bytes(std::span{name}));
    put(out, 0, 3);
    append(out, packed);
    put(directory, 0x02014B50, 4);
    put(directory, 20, 2);
    append(directory, common);
    put(directory, 0, 12);
    put(directory, offset, 4);
    append(directory, std::as_bytes(std::span{name}));
  }
  const std::size_t at = out.size();
  append(out, directory);
  put(out, 0x06054B50, 4);
  put(out, 0, 4);
  put(out, files.size(), 2);
  put(out, files.size(), 2);
  put(out, directory.size(), 4);
  put(out, at, 4);
  put(out, 0, 2);
  return out;
}

/// A .npy file: `type` such as |u1, `shape` such as (2, 3).
inline PlainBytes npy_bytes(const std::string& type, const std::string& shape,
                            const std::vector<std::uint8_t>& values,
                            const std::string& fortran = "False") {
  std::string header =
      "{'descr': '" + type + "', 'fortran_order': " + fortran + ", 'shape': " + shape + ", }";
  header += std::string(63 - (10 + header.size()) % 64, ' ') + '\n';
  std::string text = "\x93NUMPY";
  text += '\x01';
  text += '\0';
  text += static_cast<char>(header.size() & 255);
  text += static_cast<char>(header.size() >> 8);
  text += header;
  text.append(values.begin(), values.end());
  const auto bytes = std::as_bytes(std::span{text});
  return {bytes.begin(), bytes.end()};
}

}  // namespace support
