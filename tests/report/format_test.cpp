// SPDX-License-Identifier: MIT
#include <cstdlib>
#include <string>

#include <splitvit/report/format.hpp>

#include "report/samples.hpp"
#include "support/catch.hpp"

namespace report = splitvit::report;

TEST_CASE("human_bytes: three digits and a binary unit", "[report]") {
  CHECK(report::human_bytes(0) == "0 B");
  CHECK(report::human_bytes(96) == "96 B");
  CHECK(report::human_bytes(1023) == "1023 B");
  CHECK(report::human_bytes(1024) == "1.00 KiB");
  CHECK(report::human_bytes(1234567) == "1.18 MiB");
  CHECK(report::human_bytes(12345678) == "11.8 MiB");
  CHECK(report::human_bytes(123456789) == "118 MiB");
  CHECK(report::human_bytes(1024.0 * 1024 - 1) == "1.00 MiB");  // not 1024 KiB
  CHECK(report::human_bytes(9.997 * 1024) == "10.0 KiB");       // not 10.00
  CHECK(report::human_bytes(18446744073709551615.0) == "16.0 EiB");
}

TEST_CASE("human_seconds: the unit that fits", "[report]") {
  CHECK(report::human_seconds(0) == "0 s");
  CHECK(report::human_seconds(-1) == "0 s");
  CHECK(report::human_seconds(0.0012) == "1.2 ms");
  CHECK(report::human_seconds(0.085) == "85 ms");
  CHECK(report::human_seconds(0.9999) == "1.0 s");
  CHECK(report::human_seconds(4.2) == "4.2 s");
  CHECK(report::human_seconds(59.97) == "1 min 00 s");
  CHECK(report::human_seconds(75) == "1 min 15 s");
  CHECK(report::human_seconds(3599.6) == "1 h 00 min");
  CHECK(report::human_seconds(3725) == "1 h 02 min");
  CHECK(report::human_seconds(2 * 86400 + 3 * 3600) == "2 d 03 h");
  CHECK(report::human_seconds(1e300) == "1e+300 s");
}

TEST_CASE("percent and fixed: rounded, without a negative zero", "[report]") {
  CHECK(report::percent(0.963) == "96.3 %");
  CHECK(report::percent(1, 0) == "100 %");
  CHECK(report::fixed(-0.004, 2) == "0.00");
  CHECK(report::fixed(-1.25, 1) == "-1.2");  // ties to even, as stored
  CHECK(report::fixed(1e300, 0).size() == 301);
}

TEST_CASE("shortest: reads back as the same number", "[report]") {
  CHECK(report::shortest(0.1) == "0.1");
  CHECK(report::shortest(3) == "3");
  for (const double value : {1.0 / 3, 1e-310, 1.7976931348623157e308, -2.5e-7})
    CHECK(std::strtod(report::shortest(value).c_str(), nullptr) == value);
}

TEST_CASE("format: what is not finite has a dash, or nothing for programs", "[report]") {
  for (const double odd : {samples::infinite, -samples::infinite, samples::not_a_number}) {
    CHECK(report::shortest(odd).empty());
    CHECK(report::fixed(odd, 2) == report::no_number);
    CHECK(report::human_bytes(odd) == report::no_number);
    CHECK(report::human_seconds(odd) == report::no_number);
    CHECK(report::percent(odd) == report::no_number);
  }
}

TEST_CASE("format: no locale has a say", "[report]") {
  const samples::CommaLocale comma;
  CHECK(report::human_bytes(1234567) == "1.18 MiB");
  CHECK(report::fixed(1234567.5, 1) == "1234567.5");
  CHECK(report::shortest(1234.5) == "1234.5");
  CHECK(report::human_seconds(4.2) == "4.2 s");
}
