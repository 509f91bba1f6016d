// SPDX-License-Identifier: MIT
#pragma once

#include <cerrno>        // errno
#include <cstddef>       // byte, size_t
#include <cstdint>       // uintmax_t
#include <filesystem>    // path, status, file_size
#include <fstream>       // ifstream
#include <ios>           // streamsize
#include <string>        // string, to_string
#include <system_error>  // error_code
#include <vector>        // vector

#include <splitvit/core/error.hpp>  // StorageError

// A whole file as bytes, with a limit that holds before any memory is taken.

namespace splitvit {

/// The bytes of a regular file.
///
/// Errors  StorageError naming the file: cannot_open if it is missing, is no regular file or may
///         not be read; too_long if it has more than `limit` bytes; damaged_file if it ends
///         earlier than its size said.
inline std::vector<std::byte> read_file(const std::filesystem::path& path, std::uintmax_t limit) {
  const std::string name = path.string();
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status))
    throw StorageError(Reason::cannot_open,
                       name + ": " + (error ? error.message() : "no such file"));
  if (!std::filesystem::is_regular_file(status))
    throw StorageError(Reason::cannot_open, name + ": not a regular file");
  const std::uintmax_t size = std::filesystem::file_size(path, error);
  if (error) throw StorageError(Reason::cannot_open, name + ": " + error.message());
  if (size > limit)
    throw StorageError(Reason::too_long, name + ": " + std::to_string(size) + " bytes, at most " +
                                             std::to_string(limit) + " are allowed");
  errno = 0;
  std::ifstream file{path, std::ios::binary};
  if (!file)
    throw StorageError(
        Reason::cannot_open,
        name + ": " + (errno != 0 ? std::generic_category().message(errno) : "cannot be opened"));
  std::vector<std::byte> bytes(static_cast<std::size_t>(size));
  file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  if (static_cast<std::uintmax_t>(file.gcount()) != size)
    throw StorageError(Reason::damaged_file, name + ": ends after " +
                                                 std::to_string(file.gcount()) + " of " +
                                                 std::to_string(size) + " bytes");
  return bytes;
}

}  // namespace splitvit
