// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>     // any_of, find
#include <cstddef>       // byte
#include <cstdint>       // uint64_t
#include <cstdio>        // fprintf
#include <exception>     // exception
#include <filesystem>    // equivalent, path, remove
#include <memory>        // make_shared
#include <new>           // bad_alloc
#include <optional>      // optional
#include <span>          // span
#include <string>        // string, to_string
#include <system_error>  // error_code
#include <utility>       // move
#include <vector>        // vector

#include <splitvit/core/error.hpp>      // joined
#include <splitvit/io/file.hpp>         // write_file_atomically
#include <splitvit/io/folder_lock.hpp>  // FolderLock
#include <splitvit/io/safetensors.hpp>  // format_safetensors
#include <splitvit/report/clients.hpp>  // clients_csv
#include <splitvit/report/html.hpp>     // render_html
#include <splitvit/report/metrics.hpp>  // CsvFile, JsonlFile
#include <splitvit/report/run.hpp>      // Run, Row

#include "split_train/checkpointing.hpp"   // file_name_of
#include "split_train/dialling.hpp"        // is_of_connection
#include "split_train/earlier_runs.hpp"    // is_same, read_earlier, rewrite_csv, rewrite_jsonl
#include "split_train/options.hpp"         // UsageError
#include "split_train/retried_writes.hpp"  // RetriedWrites

// What split_train leaves in --out.

namespace split_train {

struct OutputOptions {
  std::string folder;         ///< empty: nothing is written
  bool resume = false;        ///< go on where earlier runs of the folder have ended
  bool retry_failed = false;  ///< with resume: run again what has failed
  bool overwrite = false;     ///< replace what is in the folder
  bool saves_models = true;
  bool has_clients = false;  ///< several that train one model
  std::string weights = {};  ///< the file of the weights to start from
};

/// metrics.csv, metrics.jsonl, the joined model of each method, clients.csv where there are
/// several, and report.html; nothing at all without a folder. A write that fails is repeated later:
/// see RetriedWrites.
class Output {
 public:
  /// `planned` are the runs to come. With `resume` the folder's runs stay. The folder is this
  /// process's own from now on.
  ///
  /// Errors  UsageError if the folder holds results that are not to be resumed, or of other
  ///         settings than planned, or a file that would be replaced and is not an earlier run's;
  ///         StorageError for metrics that this program has not written, or if another process
  ///         writes to the folder. Nothing is changed then.
  Output(OutputOptions options, std::span<const splitvit::report::Run> planned)
      : options_{std::move(options)} {
    if (options_.folder.empty()) return;
    folder_ = options_.folder;
    std::error_code error;
    const bool used = std::filesystem::exists(csv_path(), error);
    if (used && !options_.resume && !options_.overwrite)
      throw UsageError("--out " + options_.folder +
                       " holds results already; name another folder, go on with --resume, or "
                       "replace them with --overwrite");
    const bool goes_on = options_.resume && (used || std::filesystem::exists(jsonl_path(), error));
    if (goes_on) {
      lock_.emplace(*folder_);
      for (const auto& [run, steps, lines, has_ended] : read_earlier(jsonl_path())) {
        in_files_.push_back({.method = run.method, .seed = run.seed});
        if (has_ended && (run.failure.empty() || !options_.retry_failed)) earlier_.push_back(run);
      }
    }
    std::erase_if(earlier_, [&](const auto& before) {
      return std::ranges::any_of(planned,
                                 [&](const auto& run) { return goes_on_with(run, before); });
    });
    for (const auto& all : {planned, std::span<const splitvit::report::Run>{in_files_}})
      for (const auto& run : all) {
        several_methods_ = several_methods_ || run.method != planned.front().method;
        several_seeds_ = several_seeds_ || run.seed != planned.front().seed;
      }
    if (!options_.overwrite) require_free(planned, goes_on);
    std::filesystem::create_directories(*folder_, error);
    if (error) throw UsageError("--out " + options_.folder + ": " + error.message());
    if (!lock_) {
      lock_.emplace(*folder_);
      if (!options_.overwrite) require_free(planned, goes_on);  // of what came meanwhile
    }
    if (options_.overwrite)
      for (const auto& path : {csv_path(), jsonl_path()}) std::filesystem::remove(path, error);
    jsonl_.emplace(jsonl_path());
    csv_.emplace(csv_path());  // the second: where it is, the other one is, too
    if (several_methods_ || several_seeds_) rename_models();
  }
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  /// What was finished in this folder before.
  const std::vector<splitvit::report::Run>& earlier() const { return earlier_; }
  bool saves_models() const { return folder_ && options_.saves_models; }

  /// A run begins, or goes on after this step with the rows that it has. They replace what the
  /// files say of it.
  void begin(const splitvit::report::Run& run, std::uint64_t step = 0) {
    if (!folder_) return;
    const auto is_this = [&](const auto& other) { return is_same(run, other); };
    if (std::ranges::any_of(in_files_, is_this)) {
      writes_.append(csv_path(), [this, run] {
        rewrite_csv(csv_path(), run);
        csv_.emplace(csv_path());
      });
      writes_.append(jsonl_path(), [this, run, step] {
        rewrite_jsonl(jsonl_path(), run, step);
        jsonl_.emplace(jsonl_path());
      });
    } else {
      in_files_.push_back({.method = run.method, .seed = run.seed});
      writes_.append(jsonl_path(), [this, run] { jsonl_->begin(run); });
    }
  }
  void append(const splitvit::report::Run& run, const splitvit::report::Row& row) {
    if (!folder_) return;
    const splitvit::report::Run named{.method = run.method, .seed = run.seed};
    writes_.append(csv_path(), [=, this] { csv_->append(named, row); });
    writes_.append(jsonl_path(), [=, this] { jsonl_->append(named, row); });
  }
  void end(const splitvit::report::Run& run) {
    if (folder_) writes_.append(jsonl_path(), [this, run] { jsonl_->end(run); });
  }
  void append_step(const splitvit::report::Run& run, const splitvit::report::Row& row) {
    if (!folder_) return;
    const splitvit::report::Run named{.method = run.method, .seed = run.seed};
    writes_.append(jsonl_path(), [=, this] { jsonl_->append_step(named, row); });
  }

  /// Ends a run that has failed, at a row without accuracy. After a failure of the connection alone
  /// the run is not finished: --resume goes on with it.
  void fail(splitvit::report::Run& run, const splitvit::report::Row& row,
            const std::exception& error) {
    const bool no_memory = dynamic_cast<const std::bad_alloc*>(&error) != nullptr;
    run.failure = no_memory ? "there is not enough memory" : error.what();
    run.classes.clear();
    run.rows.push_back(row);
    std::fprintf(stderr, "%s\n",
                 splitvit::joined({"split_train: ", run.method, ", seed ", run.seed,
                                   ", failed at step ", row.step, ": ", run.failure})
                     .c_str());
    append(run, row);
    if (!is_of_connection(error)) end(run);
  }

  /// model.safetensors, and model-best.safetensors where no earlier evaluation of the run was
  /// better. Method and seed are part of the names where there are several of these.
  void save_model(const splitvit::report::Run& run,
                  const std::vector<splitvit::io::NamedTensor>& weights,
                  const splitvit::io::Metadata& metadata, bool is_best) {
    const auto bytes = std::make_shared<const std::vector<std::byte>>(
        splitvit::io::format_safetensors(weights, metadata));
    for (const bool best : {false, true}) {
      if (best && !is_best) break;
      const std::filesystem::path path = model_path(run, best);
      writes_.replace(path, [path, bytes] { splitvit::io::write_file_atomically(path, *bytes); });
    }
  }

  /// Writes clients.csv; its name says which run, as that of the model does.
  void save_clients(const splitvit::report::Run& run) {
    if (!folder_) return;
    const std::filesystem::path path = clients_path(run);
    writes_.replace(path, [path, text = splitvit::report::clients_csv(run)] {
      splitvit::io::write_file_atomically(path, std::as_bytes(std::span{text}));
    });
  }

  /// Returns where the report lies; empty without a folder.
  std::string save_report(std::span<const splitvit::report::Run> runs,
                          const std::string& subtitle) {
    if (!folder_) return {};
    const std::filesystem::path path = report_path();
    writes_.replace(path, [path, page = splitvit::report::render_html(
                                     runs, {.title = "split_train", .subtitle = subtitle})] {
      splitvit::io::write_file_atomically(path, std::as_bytes(std::span{page}));
    });
    return path.string();
  }

  /// Returns whether all is written; says what is not.
  bool finish() { return writes_.finish(); }

 private:
  /// Whether a planned run goes on after the end of this one, of the same method and seed, because
  /// it is longer. Errors  UsageError if they differ in anything else.
  static bool goes_on_with(const splitvit::report::Run& planned,
                           const splitvit::report::Run& before) {
    if (!is_same(planned, before)) return false;
    const bool goes_on = before.failure.empty() && is_longer(planned, before);
    for (const auto& [key, value] : before.settings)
      if (std::ranges::find(planned.settings, key, &splitvit::report::Setting::key) ==
          planned.settings.end())
        throw UsageError("--resume: " + key + " is not given, but was " + value +
                         " in the finished run of " + before.method);
    for (const auto& [key, value] : planned.settings) {
      if (goes_on && key == "length") continue;
      std::string was = "not known";
      for (const auto& setting : before.settings)
        if (setting.key == key) was = setting.value;
      if (was != value)
        throw UsageError("--resume: " + key + " is " + value + ", but " + was +
                         " in the finished run of " + before.method);
    }
    return goes_on;
  }

  /// The models of a run that was the only one until now get the names that they have beside
  /// others.
  void rename_models() const {
    if (in_files_.size() != 1 || !earlier_.empty()) return;
    for (const bool best : {false, true}) {
      const std::filesystem::path before =
          *folder_ / (best ? "model-best.safetensors" : "model.safetensors");
      std::error_code none;
      if (!std::filesystem::equivalent(before, options_.weights, none))
        std::filesystem::rename(before, model_path(in_files_.front(), best), none);
    }
  }

  /// Errors  UsageError if a file is there that this run would replace: that of --weights, or any
  ///         file of a folder in which no earlier run goes on.
  void require_free(std::span<const splitvit::report::Run> planned, bool goes_on) const {
    std::vector<std::filesystem::path> files{jsonl_path(), report_path()};
    if (options_.has_clients)
      for (const auto& run : planned) files.push_back(clients_path(run));
    if (options_.saves_models)
      for (const auto& run : planned)
        for (const bool best : {false, true}) files.push_back(model_path(run, best));
    for (const std::filesystem::path& file : files) {
      std::error_code none;
      const std::string name = "--out " + options_.folder + ": " + file.string();
      if (!options_.weights.empty() && std::filesystem::equivalent(file, options_.weights, none))
        throw UsageError(name +
                         " is the file of --weights, which would be replaced; name another folder" +
                         (options_.resume ? "" : ", or replace it with --overwrite"));
      if (!goes_on && std::filesystem::exists(std::filesystem::symlink_status(file, none)))
        throw UsageError(name + " is there already; name another folder, or replace it with " +
                         "--overwrite");
    }
  }

  std::filesystem::path csv_path() const { return *folder_ / "metrics.csv"; }
  std::filesystem::path jsonl_path() const { return *folder_ / "metrics.jsonl"; }
  std::filesystem::path report_path() const { return *folder_ / "report.html"; }
  std::filesystem::path model_path(const splitvit::report::Run& run, bool best) const {
    return path_of(best ? "model-best" : "model", run, ".safetensors");
  }
  std::filesystem::path clients_path(const splitvit::report::Run& run) const {
    return path_of("clients", run, ".csv");
  }
  std::filesystem::path path_of(std::string name, const splitvit::report::Run& run,
                                const char* ending) const {
    if (several_methods_) name += "-" + run.method;
    if (several_seeds_) name += "-seed" + std::to_string(run.seed);
    return *folder_ / (file_name_of(name) + ending);
  }

  OutputOptions options_;
  std::optional<std::filesystem::path> folder_;
  std::optional<splitvit::io::FolderLock> lock_;
  bool several_methods_ = false, several_seeds_ = false;  ///< here, or in earlier runs
  std::vector<splitvit::report::Run> earlier_;
  std::vector<splitvit::report::Run> in_files_;  // method and seed of each
  std::optional<splitvit::report::CsvFile> csv_;
  std::optional<splitvit::report::JsonlFile> jsonl_;
  RetriedWrites writes_;  // after what they write to
};

}  // namespace split_train
