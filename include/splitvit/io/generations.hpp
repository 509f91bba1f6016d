// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>   // min, ranges::{equal, find, sort}
#include <cerrno>      // errno
#include <chrono>      // milliseconds
#include <filesystem>  // path
#include <iterator>    // next
#include <set>         // set
#include <thread>      // sleep_for

#include <fcntl.h>  // O_RDONLY

#include <splitvit/core/error.hpp>     // ArgumentError, joined, Reason, StorageError
#include <splitvit/core/text.hpp>      // counted, hex_text, number_from
#include <splitvit/io/checkpoint.hpp>  // Checkpoint, CheckpointHead, checkpoint_pieces
#include <splitvit/io/file.hpp>  // make_folders, read_file_through, sync_folder, write_file_atomically
#include <splitvit/io/file_layer.hpp>   // FileLayer, system_files
#include <splitvit/io/folder_lock.hpp>  // FolderLock

namespace splitvit::inline SPLITVIT_BUILD::io {

/// The newest step in both lists; nothing if they have none in common.
inline std::optional<std::uint64_t> newest_common(std::span<const std::uint64_t> mine,
                                                  std::span<const std::uint64_t> theirs) {
  std::optional<std::uint64_t> newest;
  for (const std::uint64_t step : mine)
    if ((!newest || step > *newest) && std::ranges::find(theirs, step) != theirs.end())
      newest = step;
  return newest;
}

struct GenerationOptions {
  int keep = 3;                                   ///< generations, at least 2
  int retries = 3;                                ///< of a write that failed
  std::chrono::milliseconds pause{200};           ///< before a retry
  std::chrono::milliseconds patience{10'000};     ///< for a lock that is held
  std::size_t most_bytes = std::size_t{1} << 34;  ///< of a file that is read
};

/// The checkpoints of one party of one training: a folder with a file gen-000123.ckpt for step 123
/// and so on, the generations, and a lock for as long as this object exists.
///
/// Both parties write the same steps. A generation that both have is joint: after a crash, both
/// go on from the newest joint one. So nothing is deleted before a joint one is known, and the
/// newest joint one always stays.
///
///   Generations generations{folder};
///   generations.save(checkpoint);                // then tell the peer
///   generations.set_joint(checkpoint.step);      // when the peer has written the same step
///
/// Errors  StorageError naming the file.
class Generations {
 public:
  /// Makes the folder, takes its lock, and removes temporary files that a crash has left.
  ///
  /// Errors  std::invalid_argument for options out of range; StorageError: in_use naming the
  ///         process that has the lock, cannot_write if the folder cannot be made or written to.
  explicit Generations(const std::filesystem::path& folder, const GenerationOptions& options = {},
                       FileLayer& files = system_files())
      : files_{&files},
        folder_{checked(folder, options, files)},
        options_{options},
        lock_{folder, options.patience, files} {
    for (const std::string& name : names())
      if (name.starts_with("gen-") && name.find(".ckpt.tmp-") != std::string::npos)
        files.unlink(path_of(name));
  }

  const std::filesystem::path& folder() const { return folder_; }

  /// The generations in a folder.
  struct Found {
    std::vector<std::uint64_t> steps = {};      ///< of whole ones, oldest first
    std::optional<CheckpointHead> newest = {};  ///< nothing if none is whole
    std::vector<StorageError> skipped = {};     ///< one for each file that cannot be used
  };

  /// Reads and checks all files. A file is skipped if it cannot be read, is torn or damaged, has
  /// another format or version, or belongs to another step than its name says. So is a file of
  /// another session than `session`; if none is given, the newest whole file says which it is.
  ///
  /// Errors  StorageError (cannot_open) if the folder cannot be listed.
  Found find(std::optional<std::array<std::uint64_t, 2>> session = {}) {
    Found found;
    const std::vector<std::uint64_t> steps = named();
    for (auto step = steps.rbegin(); step != steps.rend(); ++step) try {
        const std::string path = path_of(*step);
        CheckpointHead head =
            check_checkpoint(read_file_through(*files_, path, options_.most_bytes), path);
        require(head, *step, session, path);
        session = head.session;
        found.steps.insert(found.steps.begin(), *step);
        if (!found.newest) found.newest = std::move(head);
      } catch (const StorageError& error) {
        found.skipped.push_back(error);
      }
    whole_ = {found.steps.begin(), found.steps.end()};
    return found;
  }

  /// Errors  StorageError as read_file_through, parse_checkpoint; wrong_content for another step.
  Checkpoint load(std::uint64_t step) const {
    const std::string path = path_of(step);
    auto checkpoint = parse_checkpoint(read_file_through(*files_, path, options_.most_bytes), path);
    require(checkpoint, step, {}, path);
    return checkpoint;
  }

  /// Writes or replaces a generation and reads it again. When it returns, the generation survives a
  /// loss of power; if it throws, all older ones are still there.
  ///
  /// Errors  StorageError (cannot_write), after all retries; std::invalid_argument as
  ///         checkpoint_pieces.
  void save(const Checkpoint& checkpoint) {
    const std::string path = path_of(checkpoint.step);
    const Pieces pieces = checkpoint_pieces(checkpoint);
    for (int attempt = 0;; ++attempt) try {
        write_file_atomically(path, pieces, 0600, *files_);
        require_written(path, pieces);
        break;
      } catch (const StorageError& error) {
        if (attempt == options_.retries)
          throw StorageError(Reason::cannot_write,
                             {error.what(), "; tried ", counted(attempt + 1, "time")});
        std::this_thread::sleep_for(options_.pause);
      }
    whole_.insert(checkpoint.step);
    delete_old();
  }

  /// The peer has this generation, too. Deletes old ones: all but the newest `keep`, and the
  /// newest joint one. A file that cannot be deleted is tried again later.
  ///
  /// Errors  std::logic_error for a step that find or save does not know as whole, here and below.
  void set_joint(std::uint64_t step) {
    require_whole(step);
    joint_ = step;
    delete_old();
  }

  /// Both parties go on from this generation: it is joint, and all later ones are deleted, with
  /// whatever else lies under their names.
  /// Errors  StorageError (cannot_write) if one cannot be deleted.
  void go_back_to(std::uint64_t step) {
    delete_all_but(step, [&](std::uint64_t other) { return other > step; });
  }

  /// The generations that find or save has seen whole, oldest first.
  std::vector<std::uint64_t> steps() const { return {whole_.begin(), whole_.end()}; }
  bool holds(std::uint64_t step) const { return whole_.contains(step); }
  /// The newest one that the peer is known to have, too.
  std::optional<std::uint64_t> joint() const { return joint_; }

  /// Deletes all generations but one: a training that has ended needs no other.
  /// Errors  as go_back_to.
  void keep_only(std::uint64_t step) {
    delete_all_but(step, [&](std::uint64_t other) { return other != step; });
  }

 private:
  static const std::filesystem::path& checked(const std::filesystem::path& folder,
                                              const GenerationOptions& options, FileLayer& files) {
    if (options.keep < 2)
      throw ArgumentError({"Generations: keep is ", options.keep, ", wanted at least 2"});
    if (options.retries < 0)
      throw ArgumentError({"Generations: retries is ", options.retries, ", wanted at least 0"});
    make_folders(folder, files);
    return folder;
  }

  static std::string name_of(std::uint64_t step) {
    const std::string digits = std::to_string(step);
    return "gen-" + std::string(6 - std::min<std::size_t>(digits.size(), 6), '0') + digits +
           ".ckpt";
  }
  std::string path_of(const std::string& name) const { return (folder_ / name).string(); }
  std::string path_of(std::uint64_t step) const { return path_of(name_of(step)); }

  std::vector<std::string> names() const {
    std::vector<std::string> names;
    const int listed = detail::uninterrupted([&] {
      names.clear();
      return files_->list(folder_.string(), names);
    });
    if (listed != 0) detail::fail_to("list", folder_.string(), errno, Reason::cannot_open);
    return names;
  }

  /// The steps for which there is a file, in order. Other names are not ours.
  std::vector<std::uint64_t> named() const {
    std::vector<std::uint64_t> steps;
    for (const std::string& name : names()) {
      if (name.size() < 9 || !name.starts_with("gen-")) continue;
      const auto step = number_from<std::uint64_t>(name.substr(4, name.size() - 9));
      if (step && name == name_of(*step)) steps.push_back(*step);
    }
    std::ranges::sort(steps);
    return steps;
  }

  static void require(const CheckpointHead& head, std::uint64_t step,
                      const std::optional<std::array<std::uint64_t, 2>>& session,
                      const std::string& path) {
    if (head.step != step)
      throw StorageError(Reason::wrong_content,
                         {path, ": a checkpoint of step ", head.step, ", wanted step ", step});
    if (session && head.session != *session)
      throw StorageError(Reason::wrong_content,
                         {path, ": a checkpoint of session ", text_of(head.session), ", wanted ",
                          text_of(*session)});
  }

  static std::string text_of(const std::array<std::uint64_t, 2>& session) {
    return hex_text(session[0]) + hex_text(session[1]);
  }

  void require_written(const std::string& path, const Pieces& wanted) const {
    detail::OpenFile file{*files_, path, O_RDONLY};
    if (!file.is_open()) detail::fail_to("open", path, errno);
    std::vector<std::byte> piece(std::size_t{1} << 18);
    const auto read = [&](std::size_t most) {
      const auto n = file.read(std::span{piece}.first(std::min(most, piece.size())));
      if (n < 0) detail::fail_to("read", path, errno);
      return std::span<const std::byte>{piece}.first(static_cast<std::size_t>(n));
    };
    const auto require = [&](bool is_as_written) {
      if (!is_as_written)
        throw StorageError(Reason::cannot_write, {path, ": does not hold what was written"});
    };
    wanted([&](std::span<const std::byte> bytes) {
      while (!bytes.empty()) {
        const auto got = read(bytes.size());
        require(!got.empty() && std::ranges::equal(got, bytes.first(got.size())));
        bytes = bytes.subspan(got.size());
      }
    });
    require(read(1).empty());
  }

  void require_whole(std::uint64_t step) const {
    if (!whole_.contains(step))
      throw std::logic_error(
          joined({folder_.string(), ": no whole generation of step ", step, " is known"}));
  }

  /// Only whole ones count and are deleted: another file must not take the place of one.
  void delete_old() {
    if (!joint_) return;
    auto extra = static_cast<std::ptrdiff_t>(whole_.size()) - options_.keep;
    for (auto step = whole_.begin(); extra > 0; --extra) {
      const bool is_gone =
          *step != *joint_ && (files_->unlink(path_of(*step)) == 0 || errno == ENOENT);
      step = is_gone ? whole_.erase(step) : std::next(step);
    }
  }

  void delete_all_but(std::uint64_t joint, const auto& is_unwanted) {
    require_whole(joint);
    joint_ = joint;
    for (const std::uint64_t step : named()) {
      if (!is_unwanted(step)) continue;
      const int result = detail::uninterrupted([&] { return files_->unlink(path_of(step)); });
      if (result != 0 && errno != ENOENT) detail::fail_to("delete", path_of(step), errno);
      whole_.erase(step);
    }
    sync_folder(folder_, *files_);
  }

  FileLayer* files_;
  std::filesystem::path folder_;
  GenerationOptions options_;
  FolderLock lock_;
  std::set<std::uint64_t> whole_;  // generations that find or save has seen
  std::optional<std::uint64_t> joint_;
};

}  // namespace splitvit::inline SPLITVIT_BUILD::io
