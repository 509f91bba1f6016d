// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>    // path
#include <optional>      // optional
#include <span>          // span
#include <string>        // string, to_string
#include <system_error>  // error_code
#include <utility>       // as_const, move
#include <vector>        // vector

#include <splitvit/io/file.hpp>         // write_file_atomically
#include <splitvit/io/safetensors.hpp>  // write_safetensors
#include <splitvit/report/html.hpp>     // render_html
#include <splitvit/report/metrics.hpp>  // CsvFile, JsonlFile, jsonl_line, jsonl_run_line
#include <splitvit/report/run.hpp>      // Run, Row

#include "split_train/checkpointing.hpp"  // file_name_of
#include "split_train/earlier_runs.hpp"   // read_earlier, keep_finished
#include "split_train/options.hpp"        // UsageError

// What split_train leaves in --out.

namespace split_train {

struct OutputOptions {
  std::string folder;    ///< empty: nothing is written
  bool resume = false;   ///< go on where earlier runs of the folder have ended
  bool several = false;  ///< there are several methods
  bool several_seeds = false;
};

/// metrics.csv, metrics.jsonl, the joined model of each method and report.html; nothing at all
/// without a folder.
class Output {
 public:
  /// `planned` are the runs to come. With `resume` the folder's finished runs stay, and what is
  /// left of others goes when the next run begins.
  ///
  /// Errors  UsageError if the folder holds results that are not to be resumed, or of other
  ///         settings than planned; StorageError for metrics that this program has not written.
  ///         Nothing is changed then.
  Output(OutputOptions options, std::span<const splitvit::report::Run> planned)
      : options_{std::move(options)} {
    if (options_.folder.empty()) return;
    folder_ = options_.folder;
    std::error_code error;
    const bool used = std::filesystem::exists(*folder_ / "metrics.csv", error);
    if (used && !options_.resume)
      throw UsageError("--out " + options_.folder +
                       " holds results already; name another folder, or go on with --resume");
    std::filesystem::create_directories(*folder_, error);
    if (error) throw UsageError("--out " + options_.folder + ": " + error.message());
    if (used) {
      const EarlierRuns runs = read_earlier(*folder_);
      for (const auto& before : runs.finished)
        for (const auto& run : planned) require_alike(run, before);
      earlier_ = runs.finished;
      steps_ = runs.steps;
    }
    open();
  }

  /// What was finished in this folder before.
  const std::vector<splitvit::report::Run>& earlier() const { return earlier_; }

  void begin(const splitvit::report::Run& run) {
    if (!folder_) return;
    if (!steps_.empty()) replace_files(read_earlier(*folder_));
    jsonl_->begin(run);
  }
  /// A run goes on after this step, with the rows that it has. Replaces what the files say of it.
  void go_on(const splitvit::report::Run& run, std::uint64_t step) {
    if (!folder_) return;
    EarlierRuns runs = read_earlier(*folder_);
    std::vector<splitvit::report::Row> steps;
    for (const auto* all : {&std::as_const(steps_), &std::as_const(runs.steps)})
      for (const auto& other : *all)
        if (other.method == run.method && other.seed == run.seed) steps = other.rows;
    runs.jsonl += splitvit::report::jsonl_run_line(run) + '\n';
    auto next = steps.begin();
    const auto add_steps_to = [&](std::uint64_t last) {
      for (; next != steps.end() && next->step <= last; ++next)
        runs.jsonl += splitvit::report::jsonl_line(run, *next, "step") + '\n';
    };
    for (const auto& row : run.rows) {
      add_steps_to(row.step);
      runs.jsonl += splitvit::report::jsonl_line(run, row) + '\n';
    }
    add_steps_to(step);
    runs.finished.push_back(run);
    replace_files(runs);
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
                  const std::vector<splitvit::io::NamedTensor>& weights,
                  const splitvit::io::Metadata& metadata) {
    if (!folder_) return;
    std::string name = "model";
    // A folder that is resumed may hold other models already.
    if (options_.several || options_.resume) name += "-" + run.method;
    if (options_.several_seeds || options_.resume) name += "-seed" + std::to_string(run.seed);
    splitvit::io::write_safetensors(*folder_ / (file_name_of(name) + ".safetensors"), weights,
                                    metadata);
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
  void replace_files(const EarlierRuns& runs) {
    steps_.clear();
    keep_finished(*folder_, runs);
    open();
  }

  /// The second file may be missing, then nothing is in the first one.
  void open() {
    jsonl_.emplace(*folder_ / "metrics.jsonl");
    csv_.emplace(*folder_ / "metrics.csv");
  }

  /// Errors  UsageError if these are runs of one method and seed, but with other settings.
  static void require_alike(const splitvit::report::Run& planned,
                            const splitvit::report::Run& before) {
    if (planned.method != before.method || planned.seed != before.seed) return;
    for (const auto& [key, value] : planned.settings) {
      std::string was = "not known";
      for (const auto& setting : before.settings)
        if (setting.key == key) was = setting.value;
      if (was != value)
        throw UsageError("--resume: " + key + " is " + value + ", but " + was +
                         " in the finished run of " + before.method);
    }
  }

  OutputOptions options_;
  std::optional<std::filesystem::path> folder_;
  std::vector<splitvit::report::Run> earlier_;
  std::vector<splitvit::report::Run> steps_;  // of runs that had not ended at the start
  std::optional<splitvit::report::CsvFile> csv_;
  std::optional<splitvit::report::JsonlFile> jsonl_;
};

}  // namespace split_train
