// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>   // min
#include <cerrno>      // errno
#include <chrono>      // milliseconds, steady_clock
#include <filesystem>  // path
#include <thread>      // sleep_for

#include <fcntl.h>   // O_CREAT, O_RDWR
#include <unistd.h>  // gethostname, getpid

#include <splitvit/core/error.hpp>     // joined, Reason, StorageError
#include <splitvit/io/file.hpp>        // OpenFile
#include <splitvit/io/file_layer.hpp>  // FileLayer, system_files

namespace splitvit::inline SPLITVIT_BUILD::io {

/// The exclusive use of a folder, by a lock on its file "lock". The system ends it with the
/// process, however that ends. The file stays and says who had the lock last.
class FolderLock {
 public:
  /// Waits up to `patience` for another one to release it.
  ///
  /// Errors  StorageError: in_use naming the holder, cannot_write if there can be no lock file.
  explicit FolderLock(const std::filesystem::path& folder,
                      std::chrono::milliseconds patience = std::chrono::seconds{10},
                      FileLayer& files = system_files())
      : file_{files, (folder / "lock").string(), O_RDWR | O_CREAT, 0600} {
    const std::string path = (folder / "lock").string();
    if (!file_.is_open()) detail::fail_to("open", path, errno);
    const auto end = std::chrono::steady_clock::now() + patience;
    while (detail::uninterrupted([&] { return files.flock(file_.get()); }) != 0) {
      if (errno != EWOULDBLOCK) detail::fail_to("lock", path, errno);
      if (std::chrono::steady_clock::now() >= end)
        throw StorageError(Reason::in_use, {path, ": in use by ", holder()});
      std::this_thread::sleep_for(std::min<std::chrono::nanoseconds>(
          std::chrono::milliseconds{50}, end - std::chrono::steady_clock::now()));
    }
    // For people only: the lock is held even if this cannot be written.
    const std::string text = own_text();
    files.write(file_.get(), std::as_bytes(std::span{text}));
  }

 private:
  static constexpr std::size_t text_size = 128;

  /// Always of the same size, so that it replaces the text of an earlier holder.
  static std::string own_text() {
    std::array<char, 65> host{};
    if (::gethostname(host.data(), host.size() - 1) != 0) host[0] = '?';
    std::string text = joined({"process ", ::getpid(), " on ", host.data()});
    text.resize(text_size - 1, ' ');
    return text + '\n';
  }

  /// What the lock file says, without anything that could control a terminal.
  std::string holder() {
    std::array<std::byte, text_size> bytes;
    const auto n = file_.read(bytes);
    std::string text{reinterpret_cast<const char*>(bytes.data()),
                     n > 0 ? static_cast<std::size_t>(n) : 0};
    std::erase_if(text, [](char c) { return c < ' ' || c > '~'; });
    text.erase(text.find_last_not_of(' ') + 1);
    return text.empty() ? "another process" : text;
  }

  detail::OpenFile file_;
};

}  // namespace splitvit::inline SPLITVIT_BUILD::io
