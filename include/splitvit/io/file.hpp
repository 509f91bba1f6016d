// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>     // min
#include <atomic>        // atomic
#include <cerrno>        // errno
#include <filesystem>    // path
#include <functional>    // function
#include <system_error>  // generic_category

#include <fcntl.h>   // O_CREAT, O_DIRECTORY, O_EXCL, O_NONBLOCK, O_RDONLY, O_WRONLY
#include <unistd.h>  // getpid

#include <splitvit/core/error.hpp>     // joined, Reason, StorageError, TextParts
#include <splitvit/core/text.hpp>      // counted
#include <splitvit/io/file_layer.hpp>  // FileLayer, system_files

// Files that are old or new after a crash, never half of one. Errors  StorageError with the path
// and what the system says.

namespace splitvit::inline SPLITVIT_BUILD::io {

namespace detail {
[[noreturn]] inline void fail_to(const char* what, const std::string& path, int error,
                                 Reason reason = Reason::cannot_write) {
  throw StorageError(reason,
                     {path, ": cannot ", what, ": ", std::generic_category().message(error)});
}

/// Repeats a call that a signal has interrupted.
auto uninterrupted(const auto& call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

/// A descriptor, closed at the end. It is negative if the file could not be opened: see errno.
class OpenFile {
 public:
  OpenFile(FileLayer& files, const std::string& path, int flags, unsigned mode = 0)
      : files_{&files}, descriptor_{uninterrupted([&] { return files.open(path, flags, mode); })} {}
  OpenFile(FileLayer& files, int descriptor) : files_{&files}, descriptor_{descriptor} {}
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  ~OpenFile() {
    if (descriptor_ >= 0) files_->close(descriptor_);
  }

  int get() const { return descriptor_; }
  bool is_open() const { return descriptor_ >= 0; }
  std::ptrdiff_t read(std::span<std::byte> into) {
    return uninterrupted([&] { return files_->read(descriptor_, into); });
  }
  int fsync() {
    return uninterrupted([&] { return files_->fsync(descriptor_); });
  }
  /// Not repeated: the descriptor is gone even if a signal came.
  int close() {
    const int result = files_->close(std::exchange(descriptor_, -1));
    return result < 0 && errno == EINTR ? 0 : result;
  }

 private:
  FileLayer* files_;
  int descriptor_;
};

/// In as many calls as it takes.
inline void write_all(FileLayer& files, int descriptor, const std::string& path,
                      std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const auto n = uninterrupted([&] { return files.write(descriptor, bytes); });
    if (n <= 0) fail_to("write", path, n < 0 ? errno : ENOSPC);
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
}

/// Creates a temporary file beside `target`: its descriptor, and its name in `path`. The process
/// and a running number are part of the name, so that two writers never share one.
inline int create_temporary(FileLayer& files, const std::string& target, unsigned mode,
                            std::string& path) {
  static std::atomic<std::uint64_t> serial{0};
  for (int attempt = 0; attempt < 100; ++attempt) {
    path = joined({target, ".tmp-", ::getpid(), "-", serial++});
    const int descriptor =
        uninterrupted([&] { return files.open(path, O_WRONLY | O_CREAT | O_EXCL, mode); });
    if (descriptor >= 0) return descriptor;
    if (errno != EEXIST) break;
  }
  fail_to("create a temporary file beside it", target, errno);
}
}  // namespace detail

/// Forces a folder's list of names to the disk. It is no error if its file system cannot, or if
/// the folder may not be read.
inline void sync_folder(const std::filesystem::path& folder, FileLayer& files = system_files()) {
  const std::string name = folder.empty() ? "." : folder.string();
  detail::OpenFile file{files, name, O_RDONLY | O_DIRECTORY};
  if (!file.is_open() && errno == EACCES) return;
  if (!file.is_open()) detail::fail_to("open the folder", name, errno);
  if (file.fsync() != 0 && errno != EINVAL && errno != ENOTSUP)
    detail::fail_to("sync", name, errno);
}

/// Makes a folder and those above it, unless they exist, and forces their names to the disk.
inline void make_folders(const std::filesystem::path& folder, FileLayer& files = system_files()) {
  const auto make = [&] {
    return detail::uninterrupted([&] { return files.mkdir(folder.string()); });
  };
  const std::filesystem::path above = folder.parent_path();
  int made = make();
  if (made != 0 && errno == ENOENT && !above.empty() && above != folder) {
    make_folders(above, files);
    made = make();
  }
  if (made != 0 && errno != EEXIST) detail::fail_to("make the folder", folder.string(), errno);
  sync_folder(above, files);
}

/// Takes bytes, piece by piece.
using Sink = std::function<void(std::span<const std::byte>)>;
/// Gives all bytes of a file to a sink, in order; each time the same ones.
using Pieces = std::function<void(const Sink&)>;

/// Writes or replaces a file: a temporary in the same folder, forced to the disk, then renamed. A
/// crash or a loss of power leaves the old file or the new one, never half of one. `mode`: the
/// permissions of a new file, before the umask.
///
/// Errors  StorageError (cannot_write). The old file is then still there, unless only the last
///         step, forcing the new name to the disk, failed.
inline void write_file_atomically(const std::filesystem::path& path, const Pieces& pieces,
                                  unsigned mode = 0666, FileLayer& files = system_files()) {
  const std::string target = path.string();
  std::string temporary;
  detail::OpenFile file{files, detail::create_temporary(files, target, mode, temporary)};
  try {
    pieces([&](std::span<const std::byte> bytes) {
      detail::write_all(files, file.get(), temporary, bytes);
    });
    if (file.fsync() != 0) detail::fail_to("sync", temporary, errno);
    if (file.close() != 0) detail::fail_to("close", temporary, errno);
    if (detail::uninterrupted([&] { return files.rename(temporary, target); }) != 0)
      detail::fail_to("rename", target, errno);
  } catch (...) {
    files.unlink(temporary);
    throw;
  }
  sync_folder(path.parent_path(), files);
}

inline void write_file_atomically(const std::filesystem::path& path,
                                  std::span<const std::byte> bytes, unsigned mode = 0666,
                                  FileLayer& files = system_files()) {
  write_file_atomically(path, [bytes](const Sink& sink) { sink(bytes); }, mode, files);
}

/// The bytes of a file, as read_file gives them, but through a layer. Memory grows with what has
/// been read. It never waits: a pipe that nobody writes to is empty.
///
/// Errors  StorageError: cannot_open if it cannot be opened or read; too_long if it has more than
///         `limit` bytes.
inline std::vector<std::byte> read_file_through(FileLayer& files, const std::string& path,
                                                std::size_t limit) {
  detail::OpenFile file{files, path, O_RDONLY | O_NONBLOCK};
  if (!file.is_open()) detail::fail_to("open", path, errno, Reason::cannot_open);
  std::vector<std::byte> bytes;
  for (std::size_t room = 65536;;) {
    const std::size_t had = bytes.size();
    bytes.resize(had + room);
    const auto n = file.read(std::span{bytes}.subspan(had));
    if (n < 0) detail::fail_to("read", path, errno, Reason::cannot_open);
    bytes.resize(had + static_cast<std::size_t>(n));
    if (bytes.size() > limit)
      throw StorageError(Reason::too_long, {path, ": more than ", counted(limit, "byte")});
    if (n == 0) return bytes;
    room = std::min(std::max(room, bytes.size()), limit - bytes.size() + 1);
  }
}

}  // namespace splitvit::inline SPLITVIT_BUILD::io
