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

#include <splitvit/core/error.hpp>      // StorageError
#include <splitvit/io/file.hpp>         // write_file_atomically
#include <splitvit/io/json.hpp>         // parse_json
#include <splitvit/report/metrics.hpp>  // csv_header, csv_line
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

EarlierRuns read_earlier(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / "metrics.jsonl";
  struct Begun {
    sv::report::Run run;
    std::string lines;
    std::vector<sv::report::Row> steps;
  };
  std::ifstream in{path};
  if (!in)
    throw sv::StorageError(sv::Reason::cannot_open,
                           path.string() + ": cannot be read, so nothing can be resumed");
  std::vector<Begun> begun;
  EarlierRuns earlier;
  std::string line;
  // a last line without an end was cut short
  for (int number = 1; std::getline(in, line) && !in.eof(); ++number) {
    const Record record{line, path.string() + ": line " + std::to_string(number)};
    const std::string kind = record.text("record"), method = record.text("method");
    const std::uint64_t seed = record.count("seed");
    auto at = std::find_if(begun.begin(), begun.end(), [&](const Begun& one) {
      return one.run.method == method && one.run.seed == seed;
    });
    if (kind == "run") {
      if (at != begun.end()) begun.erase(at);  // it was begun again
      at = begun.insert(begun.end(), {{.method = method, .seed = seed}, {}, {}});
      at->run.settings = record.settings();
    }
    if (at == begun.end()) continue;
    at->lines += line + '\n';
    if (kind == "epoch") at->run.rows.push_back(row_of(record));
    if (kind == "step") at->steps.push_back(row_of(record));
    if (kind != "end") continue;
    at->run.test_samples = record.count("test_samples");
    at->run.evaluation_traffic = record.traffic("evaluation_");
    at->run.classes = record.classes();
    earlier.finished.push_back(std::move(at->run));
    earlier.jsonl += at->lines;
    begun.erase(at);
  }
  for (Begun& one : begun) {
    one.run.rows = std::move(one.steps);
    earlier.steps.push_back(std::move(one.run));
  }
  return earlier;
}

void keep_finished(const std::filesystem::path& folder, const EarlierRuns& runs) {
  std::string csv{sv::report::csv_header};
  csv += '\n';
  for (const sv::report::Run& run : runs.finished)
    for (const sv::report::Row& row : run.rows) csv += sv::report::csv_line(run, row) + '\n';
  sv::io::write_file_atomically(folder / "metrics.csv", std::as_bytes(std::span{csv}));
  sv::io::write_file_atomically(folder / "metrics.jsonl", std::as_bytes(std::span{runs.jsonl}));
}

}  // namespace split_train
