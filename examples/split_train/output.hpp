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

#include "split_train/options.hpp"  // UsageError

// What split_train leaves in --out.

namespace split_train {

/// metrics.csv, metrics.jsonl, the joined model of each method and report.html; nothing at all
/// without a folder.
class Output {
 public:
  /// Errors  UsageError if the folder holds results already: nothing is overwritten.
  Output(const std::string& folder, bool several_methods, bool several_seeds)
      : several_methods_{several_methods}, several_seeds_{several_seeds} {
    if (folder.empty()) return;
    folder_ = folder;
    if (std::filesystem::exists(*folder_ / "metrics.csv"))
      throw UsageError("--out " + folder + " holds results already; name another folder");
    std::error_code error;
    std::filesystem::create_directories(*folder_, error);
    if (error) throw UsageError("--out " + folder + ": " + error.message());
    csv_.emplace(*folder_ / "metrics.csv");
    jsonl_.emplace(*folder_ / "metrics.jsonl");
  }

  void begin(const splitvit::report::Run& run) {
    if (jsonl_) jsonl_->begin(run);
  }
  void append(const splitvit::report::Run& run, const splitvit::report::Row& row) {
    if (csv_) csv_->append(run, row);
    if (jsonl_) jsonl_->append(run, row);
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
  std::optional<splitvit::report::CsvFile> csv_;
  std::optional<splitvit::report::JsonlFile> jsonl_;
};

}  // namespace split_train
