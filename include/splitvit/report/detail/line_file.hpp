// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>       // uintmax_t
#include <filesystem>    // path, file_size, resize_file
#include <fstream>       // ifstream, ofstream
#include <ios>           // ios, streamoff
#include <string>        // string
#include <string_view>   // string_view
#include <system_error>  // error_code

#include <splitvit/core/error.hpp>  // StorageError

// A text file that grows by whole lines, each of which has left the process when append returns.

namespace splitvit::report::detail {

class LineFile {
 public:
  /// Opens the file for appending; one that is missing or empty starts with `header`, unless
  /// that is empty. A last line that a crash has cut is removed.
  ///
  /// Errors  StorageError: cannot_write; foreign_file if the file starts with another line than
  ///         `header`.
  LineFile(const std::filesystem::path& path, std::string_view header) : name_{path.string()} {
    const std::string first = keep_whole_lines(path);
    if (!first.empty() && !header.empty() && first != header)
      throw StorageError(Reason::foreign_file,
                         name_ + ": its first line is not the header that was expected");
    file_.open(path, std::ios::binary | std::ios::app);
    if (!file_) throw StorageError(Reason::cannot_write, name_ + ": cannot be opened for writing");
    if (first.empty() && !header.empty()) append(header);
  }

  /// Errors  StorageError (cannot_write).
  void append(std::string_view line) {
    std::string with_end{line};
    with_end += '\n';
    file_.write(with_end.data(), static_cast<std::streamsize>(with_end.size()));
    file_.flush();
    if (!file_) throw StorageError(Reason::cannot_write, name_ + ": a line could not be written");
  }

 private:
  /// Cuts what follows the last end of line; returns the first line.
  static std::string keep_whole_lines(const std::filesystem::path& path) {
    std::error_code none;
    const std::uintmax_t size = std::filesystem::file_size(path, none);
    if (none || size == 0) return {};
    std::ifstream in{path, std::ios::binary};
    std::string first;
    std::getline(in, first);
    if (in.eof()) first.clear();  // not even one whole line
    in.clear();
    std::uintmax_t keep = size;
    for (; keep > 0; --keep) {
      in.seekg(static_cast<std::streamoff>(keep - 1));
      if (in.get() == '\n' || !in) break;
    }
    in.close();
    if (keep < size) std::filesystem::resize_file(path, keep, none);
    return first;
  }

  std::string name_;
  std::ofstream file_;
};

}  // namespace splitvit::report::detail
