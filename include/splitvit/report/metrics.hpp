// SPDX-License-Identifier: MIT
#pragma once

#include <cerrno>        // errno
#include <filesystem>    // file_size, path, resize_file
#include <fstream>       // ifstream, ofstream
#include <ios>           // ios
#include <iterator>      // istreambuf_iterator
#include <system_error>  // error_code, generic_category

#include <splitvit/core/error.hpp>     // joined, Reason, StorageError
#include <splitvit/core/utf8.hpp>      // json_quoted, replace_characters
#include <splitvit/report/format.hpp>  // shortest
#include <splitvit/report/run.hpp>     // Row, Run

namespace splitvit::inline SPLITVIT_BUILD::report {

/// Counts and seconds are those since the start of the run; bytes_* is payload and framing.
inline constexpr std::string_view csv_header =
    "method,seed,epoch,step,loss,test_accuracy,bytes_up,bytes_down,payload_up,payload_down,"
    "seconds_client,seconds_server,seconds_compression,seconds_link";

/// A text as one field, in quotes where RFC 4180 asks for them.
inline std::string csv_field(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string{text};
  std::string out = "\"";
  for (const char c : text) out.append(c == '"' ? 2u : 1u, c);
  return out + '"';
}

/// A text as a JSON string, quotes included. Bytes that are not UTF-8 become U+FFFD.
inline std::string json_string(std::string_view text) {
  const auto keep = [](char32_t) { return std::string_view{}; };
  std::string out = json_quoted(replace_characters(text, keep));
  for (std::size_t at = out.find('\x7F'); at != std::string::npos; at = out.find('\x7F', at))
    out.replace(at, 1, "\\u007f");  // a control character, too
  return out;
}

namespace detail {
/// The fields that csv_header names after the method.
inline std::array<std::string, 13> row_fields(const Run& run, const Row& row) {
  const auto& [up, down] = row.traffic;
  const split::Seconds& s = row.seconds;
  return {std::to_string(run.seed),
          std::to_string(row.epoch),
          std::to_string(row.step),
          shortest(row.loss),
          row.test_accuracy ? shortest(*row.test_accuracy) : "",
          std::to_string(up.total()),
          std::to_string(down.total()),
          std::to_string(up.payload),
          std::to_string(down.payload),
          shortest(s.client),
          shortest(s.server),
          shortest(s.compression),
          shortest(s.link)};
}

/// A text file that grows by whole lines, each of which has left the process when append returns,
/// so that a crash loses nothing.
class LineFile {
 public:
  /// Opens the file for appending; one that is missing or empty starts with `header`, unless
  /// that is empty. A last line that a crash has cut is removed.
  /// Errors  StorageError: cannot_write; foreign_file if the file starts with another line than
  ///         `header`.
  LineFile(const std::filesystem::path& path, std::string_view header) : path_{path} {
    const std::string first = keep_whole_lines(path);
    if (!first.empty() && !header.empty() && first != header)
      throw StorageError(Reason::foreign_file,
                         {path.string(), ": its first line is not the header that was expected"});
    open();
    if (first.empty() && !header.empty()) append(std::string{header});
  }

  /// Errors  StorageError (cannot_write). The file is then as before, so that the line can be
  ///         appended again.
  void append(const std::string& line) {
    if (!file_.is_open()) open();
    errno = 0;
    file_ << line + '\n' << std::flush;
    if (file_) {
      whole_ += line.size() + 1;
      return;
    }
    const int error = errno;
    file_.close();  // it may write some more of the line
    std::error_code none;
    std::filesystem::resize_file(path_, whole_, none);
    fail("a line could not be written", error);
  }

 private:
  [[noreturn]] void fail(const char* what, int error) const {
    throw StorageError(Reason::cannot_write,
                       {path_.string(), ": ", what, ": ", std::generic_category().message(error)});
  }

  void open() {
    errno = 0;
    file_.clear();
    file_.open(path_, std::ios::binary | std::ios::app);
    if (!file_) fail("cannot be opened for writing", errno);
  }

  /// Cuts what follows the last end of line; returns the first line.
  std::string keep_whole_lines(const std::filesystem::path& path) {
    std::error_code none;
    const std::uintmax_t size = std::filesystem::file_size(path, none);  // fails unless regular
    if (none || size == 0) return {};
    std::ifstream in{path, std::ios::binary};
    std::string first;
    std::getline(in, first);
    if (in.eof()) first.clear();  // not even one whole line
    in.clear();
    std::uintmax_t keep = size;
    for (; keep > 0; --keep) {
      in.seekg(static_cast<std::streamoff>(keep - 1));
      if (in.get() == '\n' || !in) break;
    }
    in.close();
    if (keep < size) std::filesystem::resize_file(path, keep, none);
    whole_ = keep;
    return first;
  }

  std::filesystem::path path_;
  std::ofstream file_;
  std::uintmax_t whole_ = 0;  // bytes of whole lines
};

/// Settings as a JSON object.
inline std::string json_object(const std::vector<Setting>& settings) {
  std::string out;
  for (const Setting& setting : settings)
    out += (out.empty() ? "" : ",") + json_string(setting.key) + ':' + json_string(setting.value);
  return '{' + out + '}';
}

inline std::string jsonl_begin(std::string_view record, const Run& run) {
  return "{\"record\":" + json_string(record) + ",\"method\":" + json_string(run.method);
}
}  // namespace detail

/// A row of a run, without the end of line. A number that is not finite, and an accuracy that
/// is absent, is an empty field.
inline std::string csv_line(const Run& run, const Row& row) {
  std::string out = csv_field(run.method);
  for (const std::string& field : detail::row_fields(run, row)) out += "," + field;
  return out;
}

/// Appends rows to metrics.csv. A new file gets the header first; an old one is continued.
/// Errors  StorageError, from the constructor also if the file starts with another header.
class CsvFile {
 public:
  explicit CsvFile(const std::filesystem::path& path) : file_{path, csv_header} {}

  /// The row has left the process when this returns. Of the run, method and seed are read.
  void append(const Run& run, const Row& row) { file_.append(csv_line(run, row)); }

 private:
  detail::LineFile file_;
};

/// The first line of a run: method, seed and settings; what ran and how it was called, where known.
inline std::string jsonl_run_line(const Run& run) {
  std::string out = joined({detail::jsonl_begin("run", run), ",\"seed\":", run.seed,
                            ",\"settings\":", detail::json_object(run.settings)});
  if (!run.program.empty()) out += ",\"program\":" + detail::json_object(run.program);
  if (!run.options.empty()) out += ",\"options\":" + detail::json_object(run.options);
  return out + '}';
}

/// A row of a run, with the names of the CSV columns, and "compressed_accuracy",
/// "compressed_bytes" and "codec" where there are any. `record` is "epoch" or "step"; a number that
/// is not finite, and an accuracy that is absent, is null.
inline std::string jsonl_line(const Run& run, const Row& row, std::string_view record = "epoch") {
  std::string out = detail::jsonl_begin(record, run);
  std::string_view names = csv_header;
  for (const std::string& value : detail::row_fields(run, row)) {
    names.remove_prefix(names.find(',') + 1);
    const std::string name{names.substr(0, names.find(','))};
    out += ",\"" + name + "\":" + (value.empty() ? "null" : value);
  }
  if (row.compressed_accuracy)
    out += joined({",\"compressed_accuracy\":", shortest(*row.compressed_accuracy),
                   ",\"compressed_bytes\":", row.compressed_bytes});
  if (!row.codec.empty()) out += ",\"codec\":" + json_string(row.codec);
  return out + '}';
}

/// The last line of a run that is over: what its evaluations cost, each class of the last one,
/// where known, and why it failed, if it did.
inline std::string jsonl_end_line(const Run& run) {
  const auto& [up, down] = run.evaluation_traffic;
  std::string more;
  if (const auto baseline = majority_baseline(run)) {
    more = ",\"majority_baseline\":" + shortest(*baseline) + ",\"classes\":[";
    for (const ClassScore& one : run.classes)
      more += joined({more.back() == '[' ? "" : ",", "{\"name\":", json_string(one.name),
                      ",\"samples\":", one.samples, ",\"correct\":", one.correct, "}"});
    more += ']';
  }
  if (!run.failure.empty()) more += ",\"failure\":" + json_string(run.failure);
  return joined({detail::jsonl_begin("end", run), ",\"seed\":", run.seed,
                 ",\"test_samples\":", run.test_samples, ",\"evaluation_bytes_up\":", up.total(),
                 ",\"evaluation_bytes_down\":", down.total(), ",\"evaluation_payload_up\":",
                 up.payload, ",\"evaluation_payload_down\":", down.payload, more, "}"});
}

/// Appends records to metrics.jsonl, new or old: one JSON object a line. "record" says what it is:
/// "run" (a run begins; its settings), "epoch", "step", or "end" (a run is complete or has failed).
/// Errors  StorageError (cannot_write).
class JsonlFile {
 public:
  explicit JsonlFile(const std::filesystem::path& path) : file_{path, ""} {}

  void begin(const Run& run) { file_.append(jsonl_run_line(run)); }
  void append(const Run& run, const Row& row) { file_.append(jsonl_line(run, row)); }
  void end(const Run& run) { file_.append(jsonl_end_line(run)); }
  void append_step(const Run& run, const Row& row) { file_.append(jsonl_line(run, row, "step")); }

 private:
  detail::LineFile file_;
};

}  // namespace splitvit::inline SPLITVIT_BUILD::report
