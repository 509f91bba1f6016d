// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>   // uint64_t
#include <fstream>   // ifstream, ofstream
#include <optional>  // optional
#include <string>    // string

#if defined(__GLIBC__)
#include <malloc.h>  // malloc_trim
#endif

// How much memory processes hold, from /proc.

namespace split_train {

/// The most bytes that a process has held at once; nothing where the system does not say.
inline std::optional<std::uint64_t> peak_memory(const std::string& process = "self") {
  std::ifstream status{"/proc/" + process + "/status"};
  for (std::string word; status >> word;)
    if (std::uint64_t kib = 0; word == "VmHWM:" && status >> kib) return kib * 1024;
  return std::nullopt;
}

/// From now on the peak of this process is counted anew, where the system can do that.
inline void forget_peak_memory() {
#if defined(__GLIBC__)
  ::malloc_trim(0);  // what was freed, but is still held
#endif
  std::ofstream{"/proc/self/clear_refs"} << 5;
}

}  // namespace split_train
