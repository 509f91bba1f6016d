// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // max, min

#include <zlib.h>

#include <splitvit/core/error.hpp>  // StorageError

namespace splitvit::inline SPLITVIT_BUILD::images {

namespace detail {
/// Decompresses deflated bytes; `window` is what zlib calls windowBits. Memory grows with what
/// comes out, so a claim takes none.
/// Errors  StorageError naming `source`: damaged_file if the bytes make no sense, end early or go
///         on behind the end; too_long if more than `limit` bytes come out.
inline std::vector<std::byte> inflated(std::span<const std::byte> bytes, int window,
                                       std::uintmax_t limit, const std::string& source) {
  struct Stream : z_stream {
    explicit Stream(int bits) : z_stream{} { fine = inflateInit2(this, bits) == Z_OK; }
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;
    ~Stream() { inflateEnd(this); }
    bool fine;
  } stream{window};
  const auto damaged = [&](const char* why) -> StorageError {
    return {Reason::damaged_file, {source, ": ", why}};
  };
  if (!stream.fine) throw damaged("zlib does not start");
  std::vector<std::byte> out;
  std::vector<std::byte> part(std::size_t{1} << 18);
  std::size_t at = 0;  // of what zlib has been given
  for (;;) {
    if (stream.avail_in == 0) {
      const std::size_t size = std::min<std::size_t>(bytes.size() - at, std::size_t{1} << 30);
      // zlib does not write to its input, it only says so where ZLIB_CONST is defined.
      stream.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(bytes.data() + at));
      stream.avail_in = static_cast<uInt>(size);
      at += size;
    }
    stream.next_out = reinterpret_cast<Bytef*>(part.data());
    stream.avail_out = static_cast<uInt>(part.size());
    const int code = inflate(&stream, Z_NO_FLUSH);
    const std::size_t made = part.size() - stream.avail_out;
    if (made > limit - out.size())
      throw StorageError(Reason::too_long, {source, ": more than ", limit, " bytes unpacked"});
    out.insert(out.end(), part.begin(), part.begin() + static_cast<std::ptrdiff_t>(made));
    if (code == Z_STREAM_END) {
      if (stream.avail_in == 0 && at == bytes.size()) return out;
      // A gzip file may have several members, one behind the other.
      if (window < 0 || inflateReset(&stream) != Z_OK) throw damaged("bytes behind the end");
    } else if (code == Z_BUF_ERROR ||
               (code == Z_OK && made == 0 && at == bytes.size() && stream.avail_in == 0)) {
      throw damaged("the compressed bytes end early");
    } else if (code != Z_OK) {
      throw damaged("the compressed bytes are damaged");
    }
  }
}
}  // namespace detail

/// Whether bytes begin as a gzip file does.
inline bool is_gzip(std::span<const std::byte> bytes) {
  return bytes.size() >= 2 && bytes[0] == std::byte{0x1F} && bytes[1] == std::byte{0x8B};
}

/// The content of a gzip file; `source` names it in messages.
/// Errors  StorageError: damaged_file if it is cut off or its checksum is wrong; too_long if more
///         than `limit` bytes come out.
inline std::vector<std::byte> gunzip(std::span<const std::byte> bytes, std::uintmax_t limit,
                                     const std::string& source) {
  constexpr int gzip_only = 16 + MAX_WBITS;
  return detail::inflated(bytes, gzip_only, limit, source);
}

/// Inflates bytes without any header, as a zip file has them.
/// Errors  as above.
inline std::vector<std::byte> inflate_raw(std::span<const std::byte> bytes, std::uintmax_t limit,
                                          const std::string& source) {
  return detail::inflated(bytes, -MAX_WBITS, limit, source);
}

/// The checksum of gzip and zip.
inline std::uint32_t zip_checksum(std::span<const std::byte> bytes) {
  return static_cast<std::uint32_t>(
      crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

}  // namespace splitvit::inline SPLITVIT_BUILD::images
