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

TEST_CASE("columns: what a terminal shows, not what memory holds", "[report]") {
  CHECK(report::columns("") == 0);
  CHECK(report::columns("abc") == 3);
  CHECK(report::columns("gr\xC3\xBC\xC3\x9F") == 4);
  CHECK(report::columns("e\xCC\x81") == 1);                 // a combining accent
  CHECK(report::columns("\xE4\xBD\xA0\xE5\xA5\xBD") == 4);  // two wide characters
}

TEST_CASE("one_line: nothing in it moves the cursor", "[report]") {
  CHECK(report::one_line("a\nb\tc\x1b[K\x7f") == "a b c [K ");
  CHECK(report::one_line("\xC2\x9B"
                         "x\xFF") == " x\xEF\xBF\xBD");  // C1, and a bad byte
}

TEST_CASE("shorten: fits, and says so", "[report]") {
  CHECK(report::shorten("abcdef", 6) == "abcdef");
  CHECK(report::shorten("abcdef", 4) == "abc\xE2\x80\xA6");
  CHECK(report::shorten("abcdef", 0).empty());
  CHECK(report::shorten("\xE4\xBD\xA0\xE5\xA5\xBD", 3) == "\xE4\xBD\xA0\xE2\x80\xA6");
}

TEST_CASE("broken: pieces that fit, nothing lost", "[report]") {
  CHECK(report::broken("abcdef", 4) == std::vector<std::string>{"abcd", "ef"});
  CHECK(report::broken("", 4) == std::vector<std::string>{""});
  const std::string wide = "\xE4\xBD\xA0\xE5\xA5\xBD";  // two characters of two columns
  CHECK(report::broken(wide, 3) == std::vector<std::string>{wide.substr(0, 3), wide.substr(3)});
  CHECK(report::broken(wide, 1).size() == 2);  // a character is never divided
}

TEST_CASE("padding: by columns, never negative", "[report]") {
  CHECK(report::padding("\xC3\xA4", 3) == "  ");
  CHECK(report::padding("long", 2).empty());
}

TEST_CASE("escape_markup: safe as content and as an attribute", "[report]") {
  CHECK(report::escape_markup("a<b> & \"c\" 'd'") == "a&lt;b&gt; &amp; &quot;c&quot; &#39;d&#39;");
  CHECK(report::escape_markup("\xC2\xB1 1 %\n") == "\xC2\xB1 1 %\n");
}

TEST_CASE("escape_markup: what XML does not allow is replaced", "[report]") {
  const std::string replaced = "\xEF\xBF\xBD";
  CHECK(report::escape_markup(std::string{"\0\x1b\xFF", 3}) == replaced + replaced + replaced);
  CHECK(report::escape_markup("\xEF\xBF\xBE") == replaced);
}
