// SPDX-License-Identifier: MIT
#include "split_train/earlier_runs.hpp"

#include <algorithm>    // find_if
#include <cstdint>      // uint64_t
#include <fstream>      // ifstream
#include <limits>       // numeric_limits
#include <optional>     // optional
#include <span>         // as_bytes, span
#include <string>       // string, to_string
#include <string_view>  // string_view
#include <utility>      // move

#include <splitvit/core/error.hpp>    // StorageError
#include <splitvit/io/file.hpp>       // write_file_atomically
#include <splitvit/io/json.hpp>       // parse_json
#include <splitvit/report/csv.hpp>    // csv_header, csv_line
#include <splitvit/report/jsonl.hpp>  // jsonl_run_line, jsonl_line, jsonl_end_line

namespace split_train {

namespace sv = splitvit;

namespace {

/// One line of metrics.jsonl; its members must be there.
class Record {
 public:
  Record(std::string_view line, std::string where)
      : where_{std::move(where)}, json_{sv::io::parse_json(line, where_)} {}

  std::string text(std::string_view key) const {
    const sv::io::Json* const value = json_.find(key);
    if (value == nullptr || value->text() == nullptr) fail(key);
    return *value->text();
  }
  std::uint64_t count(std::string_view key) const {
    const sv::io::Json* const value = json_.find(key);
    if (value == nullptr || value->whole() == nullptr || *value->whole() < 0) fail(key);
    return static_cast<std::uint64_t>(*value->whole());
  }
  /// Nothing for null.
  std::optional<double> number(std::string_view key) const {
    const sv::io::Json* const value = json_.find(key);
    if (value == nullptr) fail(key);
    if (value->is_null()) return {};
    if (value->whole() != nullptr) return static_cast<double>(*value->whole());
    if (value->fraction() == nullptr) fail(key);
    return *value->fraction();
  }
  std::vector<sv::report::Setting> settings() const {
    const sv::io::Json* const all = json_.find("settings");
    if (all == nullptr || all->object() == nullptr) fail("settings");
    std::vector<sv::report::Setting> out;
    for (const auto& [key, value] : *all->object()) {
      if (value.text() == nullptr) fail(key);
      out.push_back({key, *value.text()});
    }
    return out;
  }
  /// Bytes in one direction: all of them and the payload are written down.
  sv::split::Bytes bytes(const std::string& prefix, const std::string& direction) const {
    const std::uint64_t total = count(prefix + "bytes_" + direction);
    const std::uint64_t payload = count(prefix + "payload_" + direction);
    if (payload > total) fail(prefix + "payload_" + direction);
    return {payload, total - payload};
  }
  sv::split::Traffic traffic(const std::string& prefix = "") const {
    return {bytes(prefix, "up"), bytes(prefix, "down")};
  }

 private:
  [[noreturn]] void fail(std::string_view key) const {
    throw sv::StorageError(sv::Reason::wrong_content,
                           where_ + ": no usable '" + std::string{key} + "'");
  }

  std::string where_;
  sv::io::Json json_;
};

sv::report::Row row_of(const Record& record) {
  const auto seconds = [&](std::string_view key) { return record.number(key).value_or(0); };
  return {.epoch = record.count("epoch"),
          .step = record.count("step"),
          .loss = record.number("loss").value_or(std::numeric_limits<double>::quiet_NaN()),
          .test_accuracy = record.number("test_accuracy"),
          .traffic = record.traffic(),
          .seconds = {.client = seconds("seconds_client"),
                      .compression = seconds("seconds_compression"),
                      .server = seconds("seconds_server"),
                      .link = seconds("seconds_link")}};
}

}  // namespace

std::vector<sv::report::Run> finished_runs(const std::filesystem::path& metrics_jsonl) {
  std::ifstream in{metrics_jsonl};
  std::vector<sv::report::Run> begun, finished;
  std::string line;
  // a last line without an end was cut short
  for (int number = 1; std::getline(in, line) && !in.eof(); ++number) {
    const Record record{line, metrics_jsonl.string() + ": line " + std::to_string(number)};
    const std::string kind = record.text("record");
    if (kind == "step") continue;
    const std::string method = record.text("method");
    const std::uint64_t seed = record.count("seed");
    const auto run = std::find_if(begun.begin(), begun.end(), [&](const sv::report::Run& one) {
      return one.method == method && one.seed == seed;
    });
    if (kind == "run") {
      if (run != begun.end()) begun.erase(run);  // it was begun again
      begun.push_back({.method = method, .seed = seed, .settings = record.settings()});
    } else if (run != begun.end() && kind == "epoch") {
      run->rows.push_back(row_of(record));
    } else if (run != begun.end() && kind == "end") {
      run->test_samples = record.count("test_samples");
      run->evaluation_traffic = record.traffic("evaluation_");
      finished.push_back(std::move(*run));
      begun.erase(run);
    }
  }
  return finished;
}

void keep_only(const std::filesystem::path& folder, const std::vector<sv::report::Run>& runs) {
  std::string csv{sv::report::csv_header}, jsonl;
  csv += '\n';
  for (const sv::report::Run& run : runs) {
    jsonl += sv::report::jsonl_run_line(run) + '\n';
    for (const sv::report::Row& row : run.rows) {
      csv += sv::report::csv_line(run, row) + '\n';
      jsonl += sv::report::jsonl_line(run, row) + '\n';
    }
    jsonl += sv::report::jsonl_end_line(run) + '\n';
  }
  sv::io::write_file_atomically(folder / "metrics.csv", std::as_bytes(std::span{csv}));
  sv::io::write_file_atomically(folder / "metrics.jsonl", std::as_bytes(std::span{jsonl}));
}

}  // namespace split_train
