// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>        // atomic
#include <cerrno>        // errno
#include <cstdio>        // rename
#include <filesystem>    // path
#include <system_error>  // generic_category

#include <fcntl.h>   // open
#include <unistd.h>  // close, fsync, getpid, unlink, write

#include <splitvit/core/error.hpp>  // Reason, StorageError

namespace splitvit::inline SPLITVIT_BUILD::io {

namespace detail {
[[noreturn]] inline void fail_to_write(const std::string& path, const char* step, int error) {
  throw StorageError(Reason::cannot_write,
                     {path, ": cannot ", step, ": ", std::generic_category().message(error)});
}

/// However many calls it takes.
inline void write_all(int descriptor, const std::string& path, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const auto n = ::write(descriptor, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) fail_to_write(path, "write", n < 0 ? errno : ENOSPC);
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
}

/// A file descriptor that is closed, and a temporary that is removed, whatever happens.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& target) {
    // The process and a running number: two writers never share a temporary.
    static std::atomic<std::uint64_t> serial{0};
    for (int attempt = 0; attempt < 100 && descriptor_ < 0; ++attempt) {
      path_ = target + ".tmp-" + std::to_string(::getpid()) + "-" + std::to_string(serial++);
      descriptor_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
      if (descriptor_ < 0 && errno != EEXIST && errno != EINTR) break;
    }
    if (descriptor_ < 0) fail_to_write(target, "create a temporary file beside it", errno);
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
    if (!renamed_) ::unlink(path_.c_str());
  }

  void write(std::span<const std::byte> bytes) { write_all(descriptor_, path_, bytes); }

  /// Forces the bytes to the disk, then gives the file its name.
  void finish(const std::string& target) {
    if (::fsync(descriptor_) != 0) fail_to_write(path_, "sync", errno);
    if (::close(std::exchange(descriptor_, -1)) != 0) fail_to_write(path_, "close", errno);
    if (std::rename(path_.c_str(), target.c_str()) != 0) fail_to_write(target, "rename", errno);
    renamed_ = true;
  }

 private:
  std::string path_;
  int descriptor_ = -1;
  bool renamed_ = false;
};

/// Forces a folder's list of names to the disk; some file systems cannot, which is no error.
inline void sync_folder(const std::filesystem::path& folder) {
  const std::string name = folder.empty() ? "." : folder.string();
  const int descriptor = ::open(name.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) fail_to_write(name, "open the folder", errno);
  const int error = ::fsync(descriptor) == 0 ? 0 : errno;
  ::close(descriptor);
  if (error != 0 && error != EINVAL && error != ENOTSUP) fail_to_write(name, "sync", error);
}
}  // namespace detail

/// Writes or replaces a file: a temporary in the same folder, forced to the disk, then renamed. A
/// crash leaves the old file or the new one, never half of one.
/// Errors  StorageError (cannot_write) with path and reason; the old file is then still there,
///         unless only the last step, forcing the new name to the disk, failed.
inline void write_file_atomically(const std::filesystem::path& path,
                                  std::span<const std::byte> bytes) {
  const std::string target = path.string();
  detail::TemporaryFile file{target};
  file.write(bytes);
  file.finish(target);
  detail::sync_folder(path.parent_path());
}

}  // namespace splitvit::inline SPLITVIT_BUILD::io
