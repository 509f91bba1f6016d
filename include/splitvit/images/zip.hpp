// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // find_if

#include <splitvit/core/bytes.hpp>   // number_at
#include <splitvit/core/error.hpp>   // StorageError
#include <splitvit/images/gzip.hpp>  // inflate_raw, zip_checksum

namespace splitvit::inline SPLITVIT_BUILD::images {

/// The files in a zip archive, stored or deflated, without ZIP64.
///
/// Errors  StorageError naming `source`: foreign_file if it is no zip archive, damaged_file if it
///         is inconsistent, wrong_content for what is not read: encryption, other methods, ZIP64,
///         a file that is not there.
/// Source  PKWARE's APPNOTE.TXT 6.3, sections 4.3 and 4.4.
class ZipArchive {
 public:
  struct Entry {
    std::string name;
    std::uint32_t flags, method, checksum, packed, unpacked, offset;
  };
  /// Stands where only ZIP64 has the number.
  static constexpr std::uint32_t no_number = 0xFFFFFFFF;

  /// `bytes` must outlive the archive.
  ZipArchive(std::span<const std::byte> bytes, std::string source)
      : bytes_{bytes}, source_{std::move(source)} {
    if (bytes.size() < 4 || number(0, 2) != 0x4B50)  // "PK"
      refuse(Reason::foreign_file, "is no zip archive, wanted an .npz file, which is one");
    // The directory's end is the last record; a comment of up to 65535 bytes may follow.
    constexpr std::size_t end_size = 22;
    std::size_t end = bytes.size() < end_size ? 0 : bytes.size() - end_size;
    const std::size_t first = end < 65535 ? 0 : end - 65535;
    while (end > first && number(end, 4) != 0x06054B50) --end;
    if (bytes.size() - end < end_size || number(end, 4) != 0x06054B50)
      refuse(Reason::damaged_file, "the zip archive's end is missing");
    const std::uint32_t count = number(end + 10, 2);
    std::size_t at = number(end + 16, 4);
    if (count == 0xFFFF || at == no_number)
      refuse(Reason::wrong_content, "a ZIP64 archive, wanted one below 2 GiB");
    for (std::uint32_t k = 0; k < count; ++k) {
      constexpr std::size_t head = 46;
      require(at, head);
      if (number(at, 4) != 0x02014B50) refuse(Reason::damaged_file, "a damaged zip directory");
      const std::size_t name = number(at + 28, 2);
      require(at + head, name);
      entries_.push_back({.name = {reinterpret_cast<const char*>(bytes.data() + at + head), name},
                          .flags = number(at + 8, 2),
                          .method = number(at + 10, 2),
                          .checksum = number(at + 16, 4),
                          .packed = number(at + 20, 4),
                          .unpacked = number(at + 24, 4),
                          .offset = number(at + 42, 4)});
      at += head + name + number(at + 30, 2) + number(at + 32, 2);
    }
  }

  const std::vector<Entry>& entries() const { return entries_; }

  bool has(const std::string& name) const { return find(name) != entries_.end(); }

  /// The content of a file. Memory is taken for what comes out, at most the size in the directory.
  /// Errors  StorageError (too_long) if that is above `limit` bytes.
  std::vector<std::byte> read(const std::string& name, std::uintmax_t limit = no_number) const {
    const auto entry = find(name);
    if (entry == entries_.end()) refuse(Reason::wrong_content, "no '" + name + "' in it");
    const std::string source = source_ + ": " + name;
    const auto fail = [&](Reason reason, const char* why) {
      throw StorageError(reason, {source, ": ", why});
    };
    if ((entry->flags & 1) != 0) fail(Reason::wrong_content, "is encrypted");
    if (entry->packed == no_number || entry->unpacked == no_number || entry->offset == no_number)
      fail(Reason::wrong_content, "needs ZIP64, which is not read (NumPy uses it from 2 GiB on)");
    if (entry->unpacked > limit)
      throw StorageError(Reason::too_long, {source, ": ", entry->unpacked,
                                            " bytes unpacked, at most ", limit, " are allowed"});
    constexpr std::size_t head = 30;
    const std::size_t at = entry->offset;
    require(at, head);
    if (number(at, 4) != 0x04034B50) fail(Reason::damaged_file, "its header is damaged");
    const std::size_t begin = at + head + number(at + 26, 2) + number(at + 28, 2);
    require(begin, entry->packed);
    const auto packed = bytes_.subspan(begin, entry->packed);
    std::vector<std::byte> out;
    if (entry->method == 0)
      out.assign(packed.begin(), packed.end());
    else if (entry->method == 8)
      out = inflate_raw(packed, entry->unpacked, source);
    else
      fail(Reason::wrong_content, "is neither stored nor deflated");
    if (out.size() != entry->unpacked || zip_checksum(out) != entry->checksum)
      fail(Reason::damaged_file, "its size or checksum is wrong");
    return out;
  }

 private:
  [[noreturn]] void refuse(Reason reason, const std::string& why) const {
    throw StorageError(reason, {source_, ": ", why});
  }
  void require(std::size_t at, std::size_t size) const {
    if (at > bytes_.size() || bytes_.size() - at < size)
      refuse(Reason::damaged_file, "the zip archive points behind its end");
  }
  std::uint32_t number(std::size_t at, std::size_t width) const {
    return static_cast<std::uint32_t>(number_at(bytes_, at, width, std::endian::little));
  }
  std::vector<Entry>::const_iterator find(const std::string& name) const {
    return std::ranges::find_if(entries_, [&](const Entry& entry) { return entry.name == name; });
  }

  std::span<const std::byte> bytes_;
  std::string source_;
  std::vector<Entry> entries_;
};

}  // namespace splitvit::inline SPLITVIT_BUILD::images
