// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>   // copy_n, fill, max, min
#include <array>       // array
#include <cerrno>      // errno, EIO, ENOENT
#include <cstddef>     // byte, ptrdiff_t, size_t
#include <filesystem>  // path
#include <functional>  // function
#include <map>         // map
#include <mutex>       // lock_guard, mutex
#include <span>        // span
#include <string>      // string
#include <vector>      // vector

#include <fcntl.h>  // O_CREAT, O_DIRECTORY, O_EXCL

#include <splitvit/io/file_layer.hpp>

// File layers for tests: one whose N-th call fails, and a disk that may lose its power.

namespace splitvit::test {

/// Passes calls on. The call number `at`, from 0, fails with `error`; with `goes_on` all later ones
/// fail, too. Any thread may use it.
class FailingFiles final : public io::FileLayer {
 public:
  explicit FailingFiles(io::FileLayer& files) : files_{&files} {}

  void fail(int at, int error, bool goes_on) {
    const std::lock_guard lock{guard_};
    calls_ = 0;
    at_ = at;
    error_ = error;
    goes_on_ = goes_on;
  }
  void stop_failing() {
    const std::lock_guard lock{guard_};
    at_ = -1;
  }
  /// Calls since fail.
  int calls() const {
    const std::lock_guard lock{guard_};
    return calls_;
  }

  int open(const std::string& path, int flags, unsigned mode) override {
    return fails() ? -1 : files_->open(path, flags, mode);
  }
  std::ptrdiff_t read(int file, std::span<std::byte> into) override {
    return fails() ? -1 : files_->read(file, into);
  }
  std::ptrdiff_t write(int file, std::span<const std::byte> from) override {
    return fails() ? -1 : files_->write(file, from);
  }
  int fsync(int file) override { return fails() ? -1 : files_->fsync(file); }
  int close(int file) override {  // the descriptor is gone in any case
    const int result = files_->close(file);
    return fails() ? -1 : result;
  }
  int rename(const std::string& from, const std::string& to) override {
    return fails() ? -1 : files_->rename(from, to);
  }
  int unlink(const std::string& path) override { return fails() ? -1 : files_->unlink(path); }
  int mkdir(const std::string& path) override { return fails() ? -1 : files_->mkdir(path); }
  int flock(int file) override { return fails() ? -1 : files_->flock(file); }
  int list(const std::string& folder, std::vector<std::string>& names) override {
    return fails() ? -1 : files_->list(folder, names);
  }

 private:
  bool fails() {
    const std::lock_guard lock{guard_};
    const int call = calls_++;
    const bool now = at_ >= 0 && (call == at_ || (goes_on_ && call > at_));
    if (now) errno = error_;
    return now;
  }

  io::FileLayer* files_;
  mutable std::mutex guard_;  // of the rest
  int calls_ = 0, at_ = -1, error_ = EIO;
  bool goes_on_ = false;
};

/// A disk in memory that knows what has been forced to it. A copy is a disk of its own.
class ModelDisk : public io::FileLayer {
 public:
  /// What a loss of power does to bytes that are not forced to the disk.
  enum class Unsynced { dropped, kept, torn, zeros, flipped };
  static constexpr std::array all_kinds{Unsynced::dropped, Unsynced::kept, Unsynced::torn,
                                        Unsynced::zeros, Unsynced::flipped};

  /// Called before each call that changes something.
  std::function<void(const ModelDisk&)> before_change;
  /// The most bytes that one call reads or writes.
  std::size_t most_bytes = 64;

  /// How many names are not forced to the disk: made, renamed or deleted.
  int pending() const {
    int count = 0;
    for (const auto& [id, node] : nodes_) count += static_cast<int>(node.changes.size());
    return count;
  }

  /// The disk after a loss of power. Bit i of `kept` says whether the i-th change of names that is
  /// pending has reached it.
  ModelDisk after_power_loss(unsigned kept, Unsynced kind) const {
    ModelDisk disk;
    disk.nodes_ = nodes_;
    disk.last_node_ = last_node_;
    for (auto& [id, node] : disk.nodes_) {
      node.names = node.synced_names;
      for (const Change& change : node.changes) {
        if ((kept & 1u) != 0) change.apply(node.names);
        kept >>= 1;
      }
      node.synced_names = node.names;
      node.changes.clear();
      node.lock = 0;
      if (node.is_dirty) lose(node, kind);
      node.synced = node.bytes;
      node.is_dirty = false;
    }
    return disk;
  }

  /// Puts a file into a folder that exists, forced to the disk.
  void put(const std::string& path, std::vector<std::byte> bytes) {
    const int file = open(path, O_CREAT, 0);
    Node& node = nodes_.at(files_.at(file).node);
    node.bytes = node.synced = std::move(bytes);
    close(file);
    const int folder = open(std::filesystem::path{path}.parent_path().string(), O_DIRECTORY, 0);
    fsync(folder);
    close(folder);
  }

  int open(const std::string& path, int flags, unsigned) override {
    int id = find(path);
    if (id >= 0 && (flags & O_EXCL) != 0) return fail(EEXIST);
    if (id < 0 && (flags & O_CREAT) == 0) return fail(ENOENT);
    if (id >= 0 && (flags & O_DIRECTORY) != 0 && !nodes_.at(id).is_folder) return fail(ENOTDIR);
    if (id < 0) {
      const int folder = find(parent(path));
      if (folder < 0) return fail(ENOENT);
      id = add(folder, path, false);
    }
    files_[++last_file_] = {.node = id, .at = 0};
    return last_file_;
  }
  std::ptrdiff_t read(int file, std::span<std::byte> into) override {
    File& open = files_.at(file);
    const auto& bytes = nodes_.at(open.node).bytes;
    const std::size_t n = std::min({into.size(), bytes.size() - open.at, most_bytes});
    std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(open.at), n, into.begin());
    open.at += n;
    return static_cast<std::ptrdiff_t>(n);
  }
  std::ptrdiff_t write(int file, std::span<const std::byte> from) override {
    changing();
    File& open = files_.at(file);
    Node& node = nodes_.at(open.node);
    const std::size_t n = std::min(from.size(), most_bytes);
    node.bytes.resize(std::max(node.bytes.size(), open.at + n));
    std::copy_n(from.begin(), n, node.bytes.begin() + static_cast<std::ptrdiff_t>(open.at));
    open.at += n;
    node.is_dirty = true;
    return static_cast<std::ptrdiff_t>(n);
  }
  int fsync(int file) override {
    changing();
    Node& node = nodes_.at(files_.at(file).node);
    node.synced = node.bytes;
    node.synced_names = node.names;
    node.changes.clear();
    node.is_dirty = false;
    return 0;
  }
  int close(int file) override {
    Node& node = nodes_.at(files_.at(file).node);
    if (node.lock == file) node.lock = 0;
    files_.erase(file);
    return 0;
  }
  int rename(const std::string& from, const std::string& to) override {
    const int id = find(from), folder = find(parent(from));
    if (id < 0) return fail(ENOENT);
    changing();
    change(folder, {.removed = name(from), .added = name(to), .node = id});
    return 0;
  }
  int unlink(const std::string& path) override {
    if (find(path) < 0) return fail(ENOENT);
    changing();
    change(find(parent(path)), {.removed = name(path), .added = {}, .node = -1});
    return 0;
  }
  int mkdir(const std::string& path) override {
    if (find(path) >= 0) return fail(EEXIST);
    const int folder = find(parent(path));
    if (folder < 0) return fail(ENOENT);
    add(folder, path, true);
    return 0;
  }
  int flock(int file) override {
    Node& node = nodes_.at(files_.at(file).node);
    if (node.lock != 0 && node.lock != file) return fail(EWOULDBLOCK);
    node.lock = file;
    return 0;
  }
  int list(const std::string& folder, std::vector<std::string>& names) override {
    const int id = find(folder);
    if (id < 0) return fail(ENOENT);
    for (const auto& [name, node] : nodes_.at(id).names) names.push_back(name);
    return 0;
  }

 private:
  struct Change {
    std::string removed, added;  // empty: nothing
    int node = -1;               // that is added

    void apply(std::map<std::string, int>& names) const {
      if (!removed.empty()) names.erase(removed);
      if (!added.empty()) names[added] = node;
    }
  };
  struct Node {
    bool is_folder = false, is_dirty = false;
    std::vector<std::byte> bytes = {}, synced = {};
    std::map<std::string, int> names = {}, synced_names = {};
    std::vector<Change> changes = {};  // of names, since the last fsync
    int lock = 0;                      // the file that holds it
  };
  struct File {
    int node;
    std::size_t at;
  };

  static int fail(int error) {
    errno = error;
    return -1;
  }
  static std::string parent(const std::string& path) {
    return std::filesystem::path{path}.parent_path().string();
  }
  static std::string name(const std::string& path) {
    return std::filesystem::path{path}.filename().string();
  }
  static void lose(Node& node, Unsynced kind) {
    auto& bytes = node.bytes;
    if (kind == Unsynced::dropped) bytes = node.synced;
    if (kind == Unsynced::torn) bytes.resize(bytes.size() / 2);
    if (kind == Unsynced::zeros) std::fill(bytes.begin(), bytes.end(), std::byte{0});
    if (kind == Unsynced::flipped && !bytes.empty()) bytes.back() ^= std::byte{1};
  }

  void changing() {
    if (before_change) before_change(*this);
  }
  void change(int folder, Change change) {
    Node& node = nodes_.at(folder);
    change.apply(node.names);
    node.changes.push_back(std::move(change));
  }
  int add(int folder, const std::string& path, bool is_folder) {
    changing();
    const int id = ++last_node_;
    nodes_[id].is_folder = is_folder;
    change(folder, {.removed = {}, .added = name(path), .node = id});
    return id;
  }
  /// The node of a relative path; -1 if there is none. The empty path and "." are the root.
  int find(const std::string& path) const {
    int id = 0;
    for (const auto& part : std::filesystem::path{path}) {
      if (part == "." || part.empty()) continue;
      const auto& names = nodes_.at(id).names;
      const auto at = names.find(part.string());
      if (at == names.end()) return -1;
      id = at->second;
    }
    return id;
  }

  std::map<int, Node> nodes_{{0, Node{.is_folder = true}}};
  std::map<int, File> files_;
  int last_node_ = 0, last_file_ = 0;
};

}  // namespace splitvit::test
