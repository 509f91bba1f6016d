// SPDX-License-Identifier: MIT
#include <string>
#include <string_view>

#include <splitvit/core/utf8.hpp>

#include "support/catch.hpp"

using namespace splitvit;

TEST_CASE("first_code_point: one character of each length", "[core]") {
  CHECK(first_code_point("a").value == U'a');
  CHECK(first_code_point("\xC3\xA4x").value == 0xE4);
  CHECK(first_code_point("\xE2\x82\xAC").bytes == 3);
  CHECK(first_code_point("\xF0\x9F\x98\x80").value == 0x1F600);
}

TEST_CASE("first_code_point: what is not UTF-8 is one bad byte", "[core]") {
  // cut short, a stray continuation, overlong, a surrogate, above the last code point
  for (const char* bad :
       {"\xC3", "\x80", "\xC0\x80", "\xE0\x80\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xFF"}) {
    const auto c = first_code_point(bad);
    CHECK_FALSE(c.valid);
    CHECK(c.bytes == 1);
    CHECK(c.value == 0xFFFD);
  }
}

TEST_CASE("replace_characters: some are replaced, bad bytes always", "[core]") {
  const auto no_a = [](char32_t c) -> std::string_view { return c == U'a' ? "(A)" : ""; };
  CHECK(replace_characters("ab\xC3\xA4\xFF", no_a) == "(A)b\xC3\xA4\xEF\xBF\xBD");
  CHECK(replace_characters("", no_a).empty());
}

TEST_CASE("json_quoted: escapes what JSON asks for, and copies the rest", "[core]") {
  CHECK(json_quoted("a\"b\\\n\x1f") == R"("a\"b\\\u000a\u001f")");
  CHECK(json_quoted("\x7f\xC3\xA4\xFF") == "\"\x7f\xC3\xA4\xFF\"");
}
