// SPDX-License-Identifier: MIT
#include <string>

#include <splitvit/report/utf8.hpp>

#include "support/catch.hpp"

namespace report = splitvit::report;

TEST_CASE("first_code_point: one character of each length", "[report]") {
  CHECK(report::first_code_point("a").value == U'a');
  CHECK(report::first_code_point("\xC3\xA4x").value == 0xE4);
  CHECK(report::first_code_point("\xE2\x82\xAC").bytes == 3);
  CHECK(report::first_code_point("\xF0\x9F\x98\x80").value == 0x1F600);
}

TEST_CASE("first_code_point: what is not UTF-8 is one bad byte", "[report]") {
  // cut short, a stray continuation, overlong, a surrogate, above the last code point
  for (const char* bad :
       {"\xC3", "\x80", "\xC0\x80", "\xE0\x80\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xFF"}) {
    const auto c = report::first_code_point(bad);
    CHECK_FALSE(c.valid);
    CHECK(c.bytes == 1);
    CHECK(c.value == 0xFFFD);
  }
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

TEST_CASE("pad: by columns, never cutting", "[report]") {
  CHECK(report::pad_left("\xC3\xA4", 3) == "  \xC3\xA4");
  CHECK(report::pad_right("\xC3\xA4", 3) == "\xC3\xA4  ");
  CHECK(report::pad_left("long", 2) == "long");
}
