// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>   // path
#include <string>       // string, to_string
#include <string_view>  // string_view

#include <splitvit/report/detail/line_file.hpp>  // LineFile
#include <splitvit/report/format.hpp>            // shortest
#include <splitvit/report/run.hpp>               // Row, Run

// metrics.csv: one line a row of a run, written at once, so that a crash loses nothing.

namespace splitvit::report {

/// Counts and seconds are those since the start of the run; bytes_* is payload and framing.
inline constexpr std::string_view csv_header =
    "method,seed,epoch,step,loss,test_accuracy,bytes_up,bytes_down,payload_up,payload_down,"
    "seconds_client,seconds_server,seconds_compression,seconds_link";

/// A text as one field, in quotes where RFC 4180 asks for them.
inline std::string csv_field(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string{text};
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + '"';
}

/// A row of a run, without the end of line. A number that is not finite, and an accuracy that
/// is absent, is an empty field.
inline std::string csv_line(const Run& run, const Row& row) {
  std::string out = csv_field(run.method);
  const auto add = [&out](const std::string& field) { out += "," + field; };
  add(std::to_string(run.seed));
  add(std::to_string(row.epoch));
  add(std::to_string(row.step));
  add(shortest(row.loss));
  add(row.test_accuracy ? shortest(*row.test_accuracy) : "");
  add(std::to_string(row.traffic.up.total()));
  add(std::to_string(row.traffic.down.total()));
  add(std::to_string(row.traffic.up.payload));
  add(std::to_string(row.traffic.down.payload));
  add(shortest(row.seconds.client));
  add(shortest(row.seconds.server));
  add(shortest(row.seconds.compression));
  add(shortest(row.seconds.link));
  return out;
}

/// Appends rows to a file. A new file gets the header first; an old one is continued.
///
/// Errors  StorageError, from the constructor also if the file starts with another header.
class CsvFile {
 public:
  explicit CsvFile(const std::filesystem::path& path) : file_{path, csv_header} {}

  /// The row has left the process when this returns. Of the run, method and seed are read.
  void append(const Run& run, const Row& row) { file_.append(csv_line(run, row)); }

 private:
  detail::LineFile file_;
};

}  // namespace splitvit::report
