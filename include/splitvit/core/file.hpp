// SPDX-License-Identifier: MIT
#pragma once

#include <cerrno>        // errno
#include <filesystem>    // path, status, file_size
#include <fstream>       // ifstream
#include <ios>           // streamsize
#include <system_error>  // error_code

#include <splitvit/core/error.hpp>  // joined, Reason, StorageError, TextParts
#include <splitvit/core/text.hpp>   // counted

namespace splitvit::inline SPLITVIT_BUILD {

/// The bytes of a regular file. `limit` is checked before memory is taken.
///
/// Errors  StorageError naming the file: cannot_open if it is missing, is no regular file or may
///         not be read; too_long if it has more than `limit` bytes; damaged_file if it ends
///         earlier than its size said.
inline std::vector<std::byte> read_file(const std::filesystem::path& path, std::uintmax_t limit) {
  const auto refuse = [&path](Reason reason, TextParts what) {
    throw StorageError(reason, {path.string(), ": ", joined(what)});
  };
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status))
    refuse(Reason::cannot_open, {error ? error.message() : "no such file"});
  if (!std::filesystem::is_regular_file(status))
    refuse(Reason::cannot_open, {"not a regular file"});
  const std::uintmax_t size = std::filesystem::file_size(path, error);
  if (error) refuse(Reason::cannot_open, {error.message()});
  if (size > limit)
    refuse(Reason::too_long, {counted(size, "byte"), ", at most ", limit, " are allowed"});
  errno = 0;
  std::ifstream file{path, std::ios::binary};
  if (!file)
    refuse(Reason::cannot_open,
           {errno != 0 ? std::generic_category().message(errno) : "cannot be opened"});
  std::vector<std::byte> bytes(static_cast<std::size_t>(size));
  file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  if (static_cast<std::uintmax_t>(file.gcount()) != size)
    refuse(Reason::damaged_file, {"ends after ", file.gcount(), " of ", counted(size, "byte")});
  return bytes;
}

}  // namespace splitvit::inline SPLITVIT_BUILD
