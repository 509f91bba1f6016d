// SPDX-License-Identifier: MIT
#pragma once

#include <cstdio>      // printf
#include <cstdlib>     // getenv
#include <filesystem>  // path, exists
#include <optional>    // optional
#include <string>      // string

// Files that are too large for the repository. The environment variable SPLITVIT_DATA_DIR says
// where they are; a test that finds none says so and ends.

namespace support {

inline std::optional<std::filesystem::path> real_data(const std::string& file) {
  const char* folder = std::getenv("SPLITVIT_DATA_DIR");
  if (folder == nullptr || *folder == '\0') {
    std::printf("skipped: needs %s; set SPLITVIT_DATA_DIR to the folder it is in\n", file.c_str());
    return std::nullopt;
  }
  const auto path = std::filesystem::path{folder} / file;
  if (!std::filesystem::exists(path)) {
    std::printf("skipped: %s is missing\n", path.string().c_str());
    return std::nullopt;
  }
  return path;
}

}  // namespace support
