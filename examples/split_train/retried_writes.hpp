// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>      // seconds
#include <cstdio>      // fprintf
#include <deque>       // deque
#include <functional>  // function
#include <map>         // map
#include <string>      // string
#include <thread>      // sleep_for
#include <utility>     // move

#include <splitvit/core/error.hpp>  // StorageError

namespace split_train {

/// Writes to files that may fail for a while, as on a full disk. A write that fails is kept. It is
/// repeated before the next one to the same file, and at the end.
class RetriedWrites {
 public:
  using Write = std::function<void()>;

  RetriedWrites() = default;
  RetriedWrites(const RetriedWrites&) = delete;
  RetriedWrites& operator=(const RetriedWrites&) = delete;
  ~RetriedWrites() {
    try {
      finish();
    } catch (...) {  // there is no memory left to do more
    }
  }

  /// Writes after all that was written to this file before.
  void append(const std::string& file, Write write) {
    File& one = files_[file];
    one.waiting.push_back(std::move(write));
    attempt(one);
  }

  /// Writes the whole file, in place of a write that has failed.
  void replace(const std::string& file, Write write) {
    files_[file].waiting.clear();
    append(file, std::move(write));
  }

  /// Repeats what has failed, for some seconds, and says what still fails.
  ///
  /// Returns whether all is written.
  bool finish() {
    for (int pauses = 3; !attempt_all() && pauses > 0; --pauses)
      std::this_thread::sleep_for(std::chrono::seconds{1});
    bool all = true;
    for (auto& [name, file] : files_) {
      if (file.waiting.empty()) continue;
      all = false;
      std::fprintf(stderr, "split_train: %s is lost or not complete: %s\n", name.c_str(),
                   file.error.c_str());
      file.waiting.clear();
    }
    return all;
  }

 private:
  struct File {
    std::deque<Write> waiting = {};
    std::string error = {};  // of the last attempt
  };

  static void attempt(File& file) {
    try {
      for (; !file.waiting.empty(); file.waiting.pop_front()) file.waiting.front()();
      file.error.clear();
    } catch (const splitvit::StorageError& error) {
      if (file.error.empty())
        std::fprintf(stderr, "split_train: %s; this is tried again later\n", error.what());
      file.error = error.what();
    }
  }

  bool attempt_all() {
    bool all = true;
    for (auto& [name, file] : files_) {
      attempt(file);
      all = all && file.waiting.empty();
    }
    return all;
  }

  std::map<std::string, File> files_;
};

}  // namespace split_train
