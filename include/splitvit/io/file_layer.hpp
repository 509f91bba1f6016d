// SPDX-License-Identifier: MIT
#pragma once

#include <cerrno>        // errno
#include <cstdio>        // rename
#include <filesystem>    // directory_iterator
#include <system_error>  // error_code

#include <fcntl.h>     // open, O_CLOEXEC
#include <sys/file.h>  // flock
#include <sys/stat.h>  // mkdir
#include <unistd.h>    // close, fsync, read, unlink, write

#include <splitvit/core/std.hpp>

namespace splitvit::inline SPLITVIT_BUILD::io {

/// The calls by which files are written safely. Each one behaves as the POSIX function of its name:
/// it returns -1 and sets errno if it fails, it may be interrupted by a signal (EINTR), and it may
/// read or write fewer bytes than it was given.
///
/// A base class, not a concept: a test can give a layer whose calls fail to a whole training, and
/// no class above becomes a template.
class FileLayer {
 public:
  virtual ~FileLayer() = default;

  /// A descriptor. `mode` are the permissions of a file that is made.
  virtual int open(const std::string& path, int flags, unsigned mode) = 0;
  virtual std::ptrdiff_t read(int file, std::span<std::byte> into) = 0;
  virtual std::ptrdiff_t write(int file, std::span<const std::byte> from) = 0;
  /// Forces a file's bytes, or a folder's list of names, to the disk.
  virtual int fsync(int file) = 0;
  virtual int close(int file) = 0;
  virtual int rename(const std::string& from, const std::string& to) = 0;
  virtual int unlink(const std::string& path) = 0;
  virtual int mkdir(const std::string& path) = 0;
  /// Takes the exclusive lock of an open file, without waiting: EWOULDBLOCK if another one has it.
  virtual int flock(int file) = 0;
  /// Appends the names in a folder, in any order.
  virtual int list(const std::string& folder, std::vector<std::string>& names) = 0;
};

/// The file system of this machine.
class SystemFiles final : public FileLayer {
 public:
  int open(const std::string& path, int flags, unsigned mode) override {
    return ::open(path.c_str(), flags | O_CLOEXEC, mode);
  }
  std::ptrdiff_t read(int file, std::span<std::byte> into) override {
    return ::read(file, into.data(), into.size());
  }
  std::ptrdiff_t write(int file, std::span<const std::byte> from) override {
    return ::write(file, from.data(), from.size());
  }
  int fsync(int file) override { return ::fsync(file); }
  int close(int file) override { return ::close(file); }
  int rename(const std::string& from, const std::string& to) override {
    return std::rename(from.c_str(), to.c_str());
  }
  int unlink(const std::string& path) override { return ::unlink(path.c_str()); }
  int mkdir(const std::string& path) override { return ::mkdir(path.c_str(), 0777); }
  int flock(int file) override { return ::flock(file, LOCK_EX | LOCK_NB); }
  int list(const std::string& folder, std::vector<std::string>& names) override {
    std::error_code error;
    std::filesystem::directory_iterator at{folder, error};
    for (; !error && at != std::filesystem::directory_iterator{}; at.increment(error))
      names.push_back(at->path().filename().string());
    errno = error.value();
    return error ? -1 : 0;
  }
};

inline FileLayer& system_files() {
  static SystemFiles files;
  return files;
}

}  // namespace splitvit::inline SPLITVIT_BUILD::io
