// SPDX-License-Identifier: MIT
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <string>

#include <sys/resource.h>

#include <splitvit/core/error.hpp>
#include <splitvit/report/metrics.hpp>

#include "report/samples.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

namespace report = splitvit::report;

namespace {

std::string content(const std::filesystem::path& path) {
  std::ifstream in{path, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

/// No file can grow beyond so many bytes while it lives, as on a full disk.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : signal_{std::signal(SIGXFSZ, SIG_IGN)} {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{.rlim_cur = bytes, .rlim_max = before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, signal_);
  }

 private:
  void (*signal_)(int);
  rlimit before_{};
};

const std::string header{report::csv_header};

/// A table to be, a run of two rows, and the lines of these.
struct TwoRows {
  support::TemporaryFolder folder = {};
  std::filesystem::path path = folder.path() / "metrics.csv";
  report::Run run = samples::run("none", 1, 100, 0.9);
  std::string first = report::csv_line(run, run.rows[0]) + "\n";
  std::string second = report::csv_line(run, run.rows[1]) + "\n";
};

const report::Row full_row{.epoch = 2,
                           .step = 20,
                           .loss = 0.1,
                           .test_accuracy = 0.75,
                           .traffic = {{1000, 24}, {500, 12}},
                           .seconds = {1.5, 0.25, 2, 0.125}};

}  // namespace

TEST_CASE("csv_line: a row as the header names it", "[report]") {
  const report::Run run{.method = "adc:0.1", .seed = 42};
  CHECK(report::csv_line(run, full_row) ==
        "adc:0.1,42,2,20,0.1,0.75,1024,512,1000,500,1.5,2,0.25,0.125");
}

TEST_CASE("jsonl_line: a compressed evaluation, and what a codec has chosen, where there are any",
          "[report]") {
  const report::Run run{.method = "adc:0.1", .seed = 42};
  const std::string without = report::jsonl_line(run, full_row);
  CHECK(without.find("compressed") == std::string::npos);
  CHECK(without.find("codec") == std::string::npos);
  report::Row row = full_row;
  row.compressed_accuracy = 0.5;
  row.compressed_bytes = 1234;
  row.codec = "delta=\"2\"";
  const std::string with = report::jsonl_line(run, row);
  CHECK(with == without.substr(0, without.size() - 1) +
                    R"(,"compressed_accuracy":0.5,"compressed_bytes":1234,"codec":"delta=\"2\""})");
  CHECK(report::csv_line(run, row) == report::csv_line(run, full_row));
}

TEST_CASE("csv_line: absent and odd numbers are empty fields", "[report]") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const report::Row row{.epoch = 1, .step = 1, .loss = nan, .seconds = {.server = -1 / 0.0}};
  CHECK(report::csv_line({.method = "none"}, row) == "none,0,1,1,,,0,0,0,0,0,,0,0");
}

TEST_CASE("csv_field: quotes as in RFC 4180", "[report]") {
  CHECK(report::csv_field("plain text") == "plain text");
  CHECK(report::csv_field("a,b") == "\"a,b\"");
  CHECK(report::csv_field("say \"b\"") == "\"say \"\"b\"\"\"");
  CHECK(report::csv_field("two\nlines") == "\"two\nlines\"");
}

TEST_CASE("csv_line: no locale has a say", "[report]") {
  const report::Run run = samples::run("none", 123456, 1000000, 0.9);
  const std::string before = report::csv_line(run, run.rows[1]);
  const samples::CommaLocale comma;
  CHECK(report::csv_line(run, run.rows[1]) == before);
}

TEST_CASE("CsvFile: header once, every row on disk at once, and continued later", "[report]") {
  const auto& [folder, path, run, first, second] = TwoRows{};
  {
    report::CsvFile file{path};
    CHECK(content(path) == header + "\n");
    file.append(run, run.rows[0]);
    CHECK(content(path) == header + "\n" + first);  // while the file is still open
  }
  report::CsvFile{path}.append(run, run.rows[1]);
  CHECK(content(path) == header + "\n" + first + second);
}

TEST_CASE("CsvFile: a line that a crash has cut is removed", "[report]") {
  const support::TemporaryFolder folder;
  const auto path = folder.path() / "metrics.csv";
  const report::Run run = samples::run("none", 1, 100, 0.9);
  const std::string row = report::csv_line(run, run.rows[0]) + "\n";
  std::ofstream{path, std::ios::binary} << header << "\n" << row << "none,1,2,2";
  report::CsvFile{path}.append(run, run.rows[0]);
  CHECK(content(path) == header + "\n" + row + row);

  std::ofstream{path, std::ios::binary | std::ios::trunc} << header.substr(0, 20);
  report::CsvFile{path}.append(run, run.rows[0]);
  CHECK(content(path) == header + "\n" + row);
}

TEST_CASE("CsvFile: a row that could not be written leaves no part, and may come again",
          "[report]") {
  const auto& [folder, path, run, first, second] = TwoRows{};
  report::CsvFile file{path};
  file.append(run, run.rows[0]);
  for (const std::size_t room : {0u, 5u}) {
    const FileSizeLimit full{header.size() + 1 + first.size() + room};
    try {
      file.append(run, run.rows[1]);
      FAIL("a row was written beyond the limit");
    } catch (const splitvit::StorageError& error) {
      CHECK(error.reason() == splitvit::Reason::cannot_write);
      CHECK_THAT(error.what(), ContainsSubstring("metrics.csv: a line could not be written: File"));
    }
    CHECK(content(path) == header + "\n" + first);
  }
  file.append(run, run.rows[1]);
  file.append(run, run.rows[0]);
  CHECK(content(path) == header + "\n" + first + second + first);
}

TEST_CASE("CsvFile: refuses what is not its own, and what cannot be written", "[report]") {
  const support::TemporaryFolder folder;
  const auto path = folder.path() / "other.csv";
  std::ofstream{path} << "a,b,c\n1,2,3\n";
  try {
    report::CsvFile file{path};
    FAIL("a foreign file was continued");
  } catch (const splitvit::StorageError& error) {
    CHECK(error.reason() == splitvit::Reason::foreign_file);
  }
  CHECK(content(path) == "a,b,c\n1,2,3\n");
  CHECK_THROWS_AS(report::CsvFile{folder.path() / "no" / "such" / "folder.csv"},
                  splitvit::StorageError);
  CHECK_THROWS_AS(report::CsvFile{folder.path()}, splitvit::StorageError);  // a folder
}

TEST_CASE("json_string: what must be escaped is, and nothing else", "[report]") {
  CHECK(report::json_string("gr\xC3\xBC\xC3\x9F"
                            "e/<b>") ==
        "\"gr\xC3\xBC\xC3\x9F"
        "e/<b>\"");
  CHECK(report::json_string("a\"b\\c") == "\"a\\\"b\\\\c\"");
  CHECK(report::json_string(std::string{"\0\n\x1f\x7f", 4}) == "\"\\u0000\\u000a\\u001f\\u007f\"");
  CHECK(report::json_string("\xFF") == "\"\xEF\xBF\xBD\"");
}

TEST_CASE("jsonl_line: one object with the names of the CSV columns", "[report]") {
  CHECK(report::jsonl_line({.method = "a\"b", .seed = 42}, full_row) ==
        "{\"record\":\"epoch\",\"method\":\"a\\\"b\",\"seed\":42,\"epoch\":2,\"step\":20,"
        "\"loss\":0.1,\"test_accuracy\":0.75,\"bytes_up\":1024,\"bytes_down\":512,"
        "\"payload_up\":1000,\"payload_down\":500,\"seconds_client\":1.5,\"seconds_server\":2,"
        "\"seconds_compression\":0.25,\"seconds_link\":0.125}");
}

TEST_CASE("jsonl_line: absent and odd numbers are null", "[report]") {
  const report::Row row{.loss = std::numeric_limits<double>::quiet_NaN()};
  CHECK_THAT(report::jsonl_line({}, row),
             ContainsSubstring("\"loss\":null,\"test_accuracy\":null,"));
}

TEST_CASE("jsonl_run_line: settings in their order", "[report]") {
  const report::Run run{.method = "none", .seed = 7, .settings = {{"z", "1"}, {"a", "x\ny"}}};
  CHECK(report::jsonl_run_line(run) ==
        "{\"record\":\"run\",\"method\":\"none\",\"seed\":7,"
        "\"settings\":{\"z\":\"1\",\"a\":\"x\\u000ay\"}}");
  CHECK_THAT(report::jsonl_run_line({}), ContainsSubstring("\"settings\":{}"));
}

TEST_CASE("jsonl_run_line: what ran, and how it was called", "[report]") {
  const report::Run run{.method = "none",
                        .program = {{"version", "0.1.0"}},
                        .options = {{"data", "folder:\"x\""}, {"batch", "64"}}};
  CHECK(report::jsonl_run_line(run) ==
        "{\"record\":\"run\",\"method\":\"none\",\"seed\":0,\"settings\":{},"
        "\"program\":{\"version\":\"0.1.0\"},"
        "\"options\":{\"data\":\"folder:\\\"x\\\"\",\"batch\":\"64\"}}");
}

TEST_CASE("jsonl_end_line: each class and the baseline, where known", "[report]") {
  report::Run run{
      .method = "none", .seed = 7, .test_samples = 4, .evaluation_traffic = {{8, 1}, {}}};
  const std::string bare =
      "{\"record\":\"end\",\"method\":\"none\",\"seed\":7,\"test_samples\":4,"
      "\"evaluation_bytes_up\":9,\"evaluation_bytes_down\":0,\"evaluation_payload_up\":8,"
      "\"evaluation_payload_down\":0";
  CHECK(report::jsonl_end_line(run) == bare + "}");
  run.classes = {{"a\"b", 3, 2}, {"c", 1, 0}};
  CHECK(report::jsonl_end_line(run) == bare +
                                           ",\"majority_baseline\":0.75,\"classes\":["
                                           "{\"name\":\"a\\\"b\",\"samples\":3,\"correct\":2},"
                                           "{\"name\":\"c\",\"samples\":1,\"correct\":0}]}");
}

TEST_CASE("jsonl_end_line: why a run has failed", "[report]") {
  const report::Run run{.method = "none", .failure = "\"x\" is not finite"};
  CHECK_THAT(report::jsonl_end_line(run),
             ContainsSubstring(",\"failure\":\"\\\"x\\\" is not finite\"}"));
}

TEST_CASE("JsonlFile: a line a record, on disk at once", "[report]") {
  const support::TemporaryFolder folder;
  const auto path = folder.path() / "metrics.jsonl";
  const report::Run run = samples::run("none", 1, 100, 0.9);
  report::JsonlFile file{path};
  file.begin(run);
  file.append_step(run, run.rows[0]);
  file.append(run, run.rows[0]);
  file.end(run);
  std::ifstream in{path};
  std::string line;
  for (const char* record : {"run", "step", "epoch", "end"}) {
    REQUIRE(std::getline(in, line));
    CHECK_THAT(line, ContainsSubstring("{\"record\":\"" + std::string{record} + "\""));
  }
  CHECK_FALSE(std::getline(in, line));
}
