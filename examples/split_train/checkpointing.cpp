// SPDX-License-Identifier: MIT
#include "split_train/checkpointing.hpp"

#include <cstdio>        // fprintf
#include <filesystem>    // directory_iterator, is_directory, path, remove_all
#include <string_view>   // string_view
#include <system_error>  // error_code

#include <splitvit/io/checkpoint_policy.hpp>  // Memory

namespace split_train {

namespace sv = splitvit;

std::string file_name_of(std::string text) {
  for (char& c : text)
    if (std::string_view{":,@=()/"}.find(c) != std::string_view::npos) c = '-';
  return text;
}

namespace {

std::filesystem::path folder_of_run(const Options& options, const std::string& method) {
  return std::filesystem::path{options.checkpoint} /
         (file_name_of(method) + "-seed" + std::to_string(options.seed));
}

}  // namespace

std::string checkpoint_folder(const Options& options, const std::string& method,
                              const std::string& party) {
  return (folder_of_run(options, method) / party).string();
}

void remove_checkpoints(const Options& options, const std::string& method) {
  if (options.checkpoint.empty()) return;
  std::error_code error;
  std::filesystem::remove_all(folder_of_run(options, method), error);
  if (error)
    throw UsageError(folder_of_run(options, method).string() +
                     ": cannot be removed: " + error.message());
}

sv::split::CheckpointOptions checkpoint_options(const Options& options) {
  return {.resume = options.resume,
          .generations = {.keep = static_cast<int>(options.keep)},
          .every = options.role == Role::server ? options.checkpoint_every.value_or(0) : 0,
          .settings = {},
          .more = {},
          .on_failure = [](const sv::StorageError& error) {
            std::fprintf(stderr, "split_train: %s; training goes on\n", error.what());
          }};
}

void tell_found(const sv::split::Checkpoints& checkpoints, const Options& options,
                const std::string& unit) {
  const auto& found = checkpoints.found();
  for (const sv::StorageError& error : found.skipped)
    std::fprintf(stderr, "split_train: %s; passed over\n", error.what());
  if (!options.resume) return;
  const std::string folder = checkpoints.generations().folder().string();
  if (found.newest)
    std::fprintf(stderr, "split_train: resumed at %s %s of %s\n", unit.c_str(),
                 std::to_string(found.newest->step).c_str(), folder.c_str());
  else
    std::fprintf(stderr, "split_train: no checkpoint in %s: the run begins\n", folder.c_str());
}

bool all_sessions_ended(const Options& options) {
  // On any free port it is a server for a new client.
  if (!options.resume || options.sessions == 0 || options.endpoint.port == 0) return false;
  Index ended = 0;
  std::error_code none;
  for (std::filesystem::directory_iterator run{options.checkpoint, none}, end; !none && run != end;
       run.increment(none)) {
    const std::filesystem::path folder = run->path() / "server";
    if (!std::filesystem::is_directory(folder, none)) continue;
    if (!sv::split::Checkpoints{folder, sv::io::Memory{}, checkpoint_options(options)}.had_ended())
      return false;
    ++ended;
  }
  return ended >= options.sessions;
}

}  // namespace split_train
