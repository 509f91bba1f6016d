// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>      // atomic
#include <cstddef>     // byte
#include <filesystem>  // path, temp_directory_path
#include <fstream>     // ofstream
#include <ios>         // streamsize
#include <span>        // span
#include <string>      // string, to_string

#include <unistd.h>  // getpid

// A folder of its own for a test, removed at the end.

namespace support {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    static std::atomic<int> serial{0};
    path_ = std::filesystem::temp_directory_path() /
            ("splitvit-test-" + std::to_string(::getpid()) + "-" + std::to_string(serial++));
    std::filesystem::create_directories(path_);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  const std::filesystem::path& path() const { return path_; }

  /// Writes a file and returns where it lies.
  std::filesystem::path write(const std::string& name, std::span<const std::byte> bytes) const {
    const auto file = path_ / name;
    std::ofstream out{file, std::ios::binary};
    out.write(reinterpret_cast<const char*>(bytes.data()),
              static_cast<std::streamsize>(bytes.size()));
    return file;
  }

 private:
  std::filesystem::path path_;
};

}  // namespace support
