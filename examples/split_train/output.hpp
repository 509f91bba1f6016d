// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>   // path
#include <fstream>      // ofstream
#include <optional>     // optional
#include <span>         // span
#include <string>       // string, to_string
#include <string_view>  // string_view
#include <vector>       // vector

#include <splitvit/io/file.hpp>         // write_file_atomically
#include <splitvit/io/safetensors.hpp>  // write_safetensors
#include <splitvit/report/csv.hpp>      // CsvFile
#include <splitvit/report/html.hpp>     // render_html
#include <splitvit/report/jsonl.hpp>    // JsonlFile
#include <splitvit/report/run.hpp>      // Run, Row

#include "split_train/earlier_runs.hpp"  // finished_runs, keep_only
#include "split_train/options.hpp"       // UsageError

// What split_train leaves in --out.

namespace split_train {

/// metrics.csv, metrics.jsonl, the joined model of each method and report.html; nothing at all
/// without a folder.
class Output {
 public:
  /// With `resume` the folder's finished runs stay, and what is left of others goes.
  ///
  /// Errors  UsageError if the folder holds results that are not to be resumed: nothing is
  ///         overwritten. StorageError for metrics that this program has not written.
  Output(const std::string& folder, bool resume, bool several_methods, bool several_seeds)
      : several_methods_{several_methods}, several_seeds_{several_seeds} {
    if (folder.empty()) return;
    folder_ = folder;
    const bool used = std::filesystem::exists(*folder_ / "metrics.csv");
    if (used && !resume)
      throw UsageError("--out " + folder +
                       " holds results already; name another folder, or go on with --resume");
    std::error_code error;
    std::filesystem::create_directories(*folder_, error);
    if (error) throw UsageError("--out " + folder + ": " + error.message());
    if (used) {
      earlier_ = finished_runs(*folder_ / "metrics.jsonl");
      keep_only(*folder_, earlier_);
    }
    csv_.emplace(*folder_ / "metrics.csv");
    jsonl_.emplace(*folder_ / "metrics.jsonl");
  }

  /// A run of the folder that was finished before, if there is one.
  ///
  /// Errors  UsageError if it was made with other settings.
  std::optional<splitvit::report::Run> earlier(const splitvit::report::Run& wanted) const {
    for (const splitvit::report::Run& run : earlier_) {
      if (run.method != wanted.method || run.seed != wanted.seed) continue;
      for (const auto& [key, value] : wanted.settings)
        for (const auto& before : run.settings)
          if (before.key == key && before.value != value)
            throw UsageError("--resume: " + key + " is " + value + ", but " + before.value +
                             " in the runs of " + folder_->string());
      return run;
    }
    return {};
  }

  void begin(const splitvit::report::Run& run) {
    if (jsonl_) jsonl_->begin(run);
  }
  void append(const splitvit::report::Run& run, const splitvit::report::Row& row) {
    if (csv_) csv_->append(run, row);
    if (jsonl_) jsonl_->append(run, row);
  }
  void end(const splitvit::report::Run& run) {
    if (jsonl_) jsonl_->end(run);
  }
  void append_step(const splitvit::report::Run& run, const splitvit::report::Row& row) {
    if (jsonl_) jsonl_->append_step(run, row);
  }

  /// model.safetensors, or model-METHOD-seedSEED.safetensors where there are several of these.
  void save_model(const splitvit::report::Run& run,
                  const std::vector<splitvit::io::NamedTensor>& weights) {
    if (!folder_) return;
    std::string name = "model";
    if (several_methods_) name += "-" + run.method;
    if (several_seeds_) name += "-seed" + std::to_string(run.seed);
    for (char& c : name)
      if (std::string_view{":,@=()/"}.find(c) != std::string_view::npos) c = '-';
    splitvit::io::write_safetensors(*folder_ / (name + ".safetensors"), weights,
                                    {{"format", "pt"}});
  }

  /// Returns where the report lies; empty without a folder.
  std::string save_report(std::span<const splitvit::report::Run> runs,
                          const std::string& subtitle) {
    if (!folder_) return {};
    const std::string page =
        splitvit::report::render_html(runs, {.title = "split_train", .subtitle = subtitle});
    const std::filesystem::path path = *folder_ / "report.html";
    splitvit::io::write_file_atomically(path, std::as_bytes(std::span{page}));
    return path.string();
  }

 private:
  bool several_methods_, several_seeds_;
  std::optional<std::filesystem::path> folder_;
  std::vector<splitvit::report::Run> earlier_;
  std::optional<splitvit::report::CsvFile> csv_;
  std::optional<splitvit::report::JsonlFile> jsonl_;
};

}  // namespace split_train
