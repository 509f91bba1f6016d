// SPDX-License-Identifier: MIT
#include <fstream>
#include <limits>
#include <string>

#include <splitvit/report/jsonl.hpp>

#include "report/samples.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

namespace report = splitvit::report;

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
  const report::Row row{.epoch = 2,
                        .step = 20,
                        .loss = 0.1,
                        .test_accuracy = 0.75,
                        .traffic = {{1000, 24}, {500, 12}},
                        .seconds = {1.5, 0.25, 2, 0.125}};
  CHECK(report::jsonl_line({.method = "a\"b", .seed = 42}, row) ==
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
