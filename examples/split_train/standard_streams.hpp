// SPDX-License-Identifier: MIT
#pragma once

#include <csignal>  // SIG_IGN, signal, SIGPIPE, SIGXFSZ
#include <cstdio>   // ferror, fflush, fputs, stderr, stdout
#include <string>   // string

#include <fcntl.h>   // fcntl, F_GETFD, open, O_RDWR
#include <unistd.h>  // STDERR_FILENO

// Standard input, output and error of a program that writes files and links besides.

namespace split_train {

/// Call this first. Opens those of the three that are closed as /dev/null: otherwise the next file
/// or link would get the number, and with it all that is printed. From now on a write to a pipe
/// that nobody reads, or beyond the largest file that is allowed, fails instead of ending the
/// program.
///
/// Returns false if /dev/null cannot be opened.
inline bool open_standard_streams() {
  for (int number = 0; number <= STDERR_FILENO; ++number)
    if (::fcntl(number, F_GETFD) < 0 && ::open("/dev/null", O_RDWR) != number) return false;
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  return true;
}

/// Writes a result to standard output; where that fails, to standard error, so that it is not lost.
/// Returns whether it is on standard output.
inline bool print_result(const std::string& text) {
  if (std::fputs(text.c_str(), stdout) >= 0 && std::fflush(stdout) == 0) return true;
  std::fputs(text.c_str(), stderr);
  return false;
}

/// The exit code of a program that would end with `code`: 1, and a line on standard error, if
/// something could not be written to standard output.
inline int code_at_end(int code) {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return code;
  std::fputs("split_train: not all could be written to standard output\n", stderr);
  return code == 0 ? 1 : code;
}

}  // namespace split_train
