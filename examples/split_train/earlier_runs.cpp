// SPDX-License-Identifier: MIT
#include "split_train/earlier_runs.hpp"

#include <algorithm>    // ranges::find_if
#include <charconv>     // from_chars
#include <cstdint>      // uint64_t
#include <fstream>      // ifstream
#include <limits>       // numeric_limits
#include <optional>     // optional
#include <span>         // as_bytes, span
#include <string>       // string, to_string
#include <string_view>  // string_view
#include <utility>      // move, pair

#include <splitvit/core/error.hpp>      // StorageError
#include <splitvit/io/file.hpp>         // write_file_atomically
#include <splitvit/io/json.hpp>         // parse_json
#include <splitvit/report/metrics.hpp>  // csv_field, csv_line, jsonl_line, jsonl_run_line
#include <splitvit/report/run.hpp>      // Row, Run, Setting

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
  bool has(std::string_view key) const { return json_.find(key) != nullptr; }
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
  /// Absent in files of a time before there was one.
  std::vector<sv::report::ClassScore> classes() const {
    const sv::io::Json* const all = json_.find("classes");
    std::vector<sv::report::ClassScore> out;
    if (all == nullptr) return out;
    if (all->array() == nullptr) fail("classes");
    for (const sv::io::Json& one : *all->array()) {
      const Record record{one, where_};
      out.push_back({.name = record.text("name"),
                     .samples = record.count("samples"),
                     .correct = record.count("correct")});
    }
    return out;
  }
  /// Empty for a run that has not failed.
  std::string failure() const { return json_.find("failure") == nullptr ? "" : text("failure"); }
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
  Record(sv::io::Json json, std::string where) : where_{std::move(where)}, json_{std::move(json)} {}

  [[noreturn]] void fail(std::string_view key) const {
    throw sv::StorageError(sv::Reason::wrong_content,
                           where_ + ": no usable '" + std::string{key} + "'");
  }

  std::string where_;
  sv::io::Json json_;
};

sv::report::Row row_of(const Record& record) {
  const auto seconds = [&](std::string_view key) { return record.number(key).value_or(0); };
  sv::report::Row row{
      .epoch = record.count("epoch"),
      .step = record.count("step"),
      .loss = record.number("loss").value_or(std::numeric_limits<double>::quiet_NaN()),
      .test_accuracy = record.number("test_accuracy"),
      .traffic = record.traffic(),
      .seconds = {.client = seconds("seconds_client"),
                  .compression = seconds("seconds_compression"),
                  .server = seconds("seconds_server"),
                  .link = seconds("seconds_link")}};
  if (record.has("compressed_accuracy")) {
    row.compressed_accuracy = record.number("compressed_accuracy");
    row.compressed_bytes = record.count("compressed_bytes");
  }
  if (record.has("codec")) row.codec = record.text("codec");
  return row;
}

/// The lines of a metrics.csv that are not of this run.
std::string other_lines(const std::filesystem::path& csv, const sv::report::Run& run) {
  const std::string start =
      sv::report::csv_field(run.method) + ',' + std::to_string(run.seed) + ',';
  std::ifstream in{csv};
  std::string line, all;
  while (std::getline(in, line) && !in.eof())
    if (!line.starts_with(start)) all += line + '\n';
  return all;
}

void write_text(const std::filesystem::path& path, const std::string& text) {
  sv::io::write_file_atomically(path, std::as_bytes(std::span{text}));
}

/// A length such as "1 epoch": the number, and "epoch"; 0 if there is none.
std::pair<double, std::string> length_of(const sv::report::Run& run) {
  for (const auto& [key, value] : run.settings) {
    if (key != "length") continue;
    double number = 0;
    const char* const end = value.data() + value.size();
    const char* const unit = std::from_chars(value.data(), end, number).ptr;
    return {number, std::string{unit, end == unit || end[-1] != 's' ? end : end - 1}};
  }
  return {};
}

}  // namespace

bool is_longer(const sv::report::Run& run, const sv::report::Run& before) {
  const auto [now, unit] = length_of(run);
  const auto [then, unit_then] = length_of(before);
  return unit == unit_then && now > then;
}

std::vector<EarlierRun> read_earlier(const std::filesystem::path& jsonl) {
  std::ifstream in{jsonl};
  if (!in)
    throw sv::StorageError(sv::Reason::cannot_open,
                           jsonl.string() + ": cannot be read, so nothing can be resumed");
  std::vector<EarlierRun> all;
  std::string line;
  // a last line without an end was cut short
  for (int number = 1; std::getline(in, line) && !in.eof(); ++number) {
    const Record record{line, jsonl.string() + ": line " + std::to_string(number)};
    const std::string kind = record.text("record");
    const sv::report::Run named{.method = record.text("method"), .seed = record.count("seed")};
    if (kind == "run") {  // perhaps again
      std::erase_if(all, [&](const EarlierRun& one) { return is_same(one.run, named); });
      all.push_back({.run = named});
      all.back().run.settings = record.settings();
    }
    const auto at =
        std::ranges::find_if(all, [&](const EarlierRun& one) { return is_same(one.run, named); });
    if (at == all.end()) continue;
    at->lines += line + '\n';
    if (kind == "epoch") at->run.rows.push_back(row_of(record));
    if (kind == "step") at->steps.push_back(row_of(record));
    if (kind != "end") continue;
    at->run.test_samples = record.count("test_samples");
    at->run.evaluation_traffic = record.traffic("evaluation_");
    at->run.classes = record.classes();
    at->run.failure = record.failure();
    at->has_ended = true;
  }
  return all;
}

void rewrite_jsonl(const std::filesystem::path& jsonl, const sv::report::Run& run,
                   std::uint64_t step) {
  std::string text;
  std::vector<sv::report::Row> steps;
  for (EarlierRun& one : read_earlier(jsonl)) {
    if (is_same(one.run, run))
      steps = std::move(one.steps);
    else
      text += one.lines;
  }
  text += sv::report::jsonl_run_line(run) + '\n';
  auto next = steps.begin();
  const auto add_steps_to = [&](std::uint64_t last) {
    for (; next != steps.end() && next->step <= last; ++next)
      text += sv::report::jsonl_line(run, *next, "step") + '\n';
  };
  for (const sv::report::Row& row : run.rows) {
    add_steps_to(row.step);
    text += sv::report::jsonl_line(run, row) + '\n';
  }
  add_steps_to(step);
  write_text(jsonl, text);
}

void rewrite_csv(const std::filesystem::path& csv, const sv::report::Run& run) {
  std::string text = other_lines(csv, run);
  for (const sv::report::Row& row : run.rows) text += sv::report::csv_line(run, row) + '\n';
  write_text(csv, text);
}

}  // namespace split_train
