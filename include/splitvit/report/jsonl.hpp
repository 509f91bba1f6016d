// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>   // path
#include <string>       // string, to_string
#include <string_view>  // string_view

#include <splitvit/report/detail/line_file.hpp>  // LineFile
#include <splitvit/report/format.hpp>            // shortest
#include <splitvit/report/run.hpp>               // Row, Run
#include <splitvit/report/utf8.hpp>              // first_code_point

// metrics.jsonl: the numbers of metrics.csv as one JSON object a line. "record" says what a
// line is: "run" (a run begins; its settings), "epoch", "step", or "end" (a run is complete; what
// its evaluations cost).

namespace splitvit::report {

/// A text as a JSON string, quotes included. Bytes that are not UTF-8 become U+FFFD.
inline std::string json_string(std::string_view text) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string out = "\"";
  while (!text.empty()) {
    const CodePoint c = first_code_point(text);
    if (!c.valid) {
      out += replacement_character;
    } else if (c.value == '"' || c.value == '\\') {
      out += {'\\', static_cast<char>(c.value)};
    } else if (c.value < 0x20 || c.value == 0x7F) {
      out += "\\u00";
      out += digits[c.value >> 4];
      out += digits[c.value & 15u];
    } else {
      out += text.substr(0, c.bytes);
    }
    text.remove_prefix(c.bytes);
  }
  return out + '"';
}

/// The first line of a run: method, seed and settings.
inline std::string jsonl_run_line(const Run& run) {
  std::string out = "{\"record\":\"run\",\"method\":" + json_string(run.method) +
                    ",\"seed\":" + std::to_string(run.seed) + ",\"settings\":{";
  bool first = true;
  for (const Setting& setting : run.settings) {
    if (!first) out += ',';
    first = false;
    out += json_string(setting.key) + ':' + json_string(setting.value);
  }
  return out + "}}";
}

/// A row of a run. `record` is "epoch" or "step"; a number that is not finite, and an accuracy
/// that is absent, is null.
inline std::string jsonl_line(const Run& run, const Row& row, std::string_view record = "epoch") {
  std::string out = "{\"record\":" + json_string(record) + ",\"method\":" + json_string(run.method);
  const auto add = [&out](std::string_view key, const std::string& value) {
    out += ",\"";
    out += key;
    out += "\":" + (value.empty() ? "null" : value);
  };
  add("seed", std::to_string(run.seed));
  add("epoch", std::to_string(row.epoch));
  add("step", std::to_string(row.step));
  add("loss", shortest(row.loss));
  add("test_accuracy", row.test_accuracy ? shortest(*row.test_accuracy) : "");
  add("bytes_up", std::to_string(row.traffic.up.total()));
  add("bytes_down", std::to_string(row.traffic.down.total()));
  add("payload_up", std::to_string(row.traffic.up.payload));
  add("payload_down", std::to_string(row.traffic.down.payload));
  add("seconds_client", shortest(row.seconds.client));
  add("seconds_server", shortest(row.seconds.server));
  add("seconds_compression", shortest(row.seconds.compression));
  add("seconds_link", shortest(row.seconds.link));
  return out + '}';
}

/// The last line of a run that came to its end.
inline std::string jsonl_end_line(const Run& run) {
  const split::Traffic& e = run.evaluation_traffic;
  return "{\"record\":\"end\",\"method\":" + json_string(run.method) +
         ",\"seed\":" + std::to_string(run.seed) +
         ",\"test_samples\":" + std::to_string(run.test_samples) +
         ",\"evaluation_bytes_up\":" + std::to_string(e.up.total()) +
         ",\"evaluation_bytes_down\":" + std::to_string(e.down.total()) +
         ",\"evaluation_payload_up\":" + std::to_string(e.up.payload) +
         ",\"evaluation_payload_down\":" + std::to_string(e.down.payload) + "}";
}

/// Appends records to a file, new or old.
///
/// Errors  StorageError (cannot_write).
class JsonlFile {
 public:
  explicit JsonlFile(const std::filesystem::path& path) : file_{path, ""} {}

  void begin(const Run& run) { file_.append(jsonl_run_line(run)); }
  void append(const Run& run, const Row& row) { file_.append(jsonl_line(run, row, "epoch")); }
  void end(const Run& run) { file_.append(jsonl_end_line(run)); }
  void append_step(const Run& run, const Row& row) { file_.append(jsonl_line(run, row, "step")); }

 private:
  detail::LineFile file_;
};

}  // namespace splitvit::report
