// SPDX-License-Identifier: MIT
#include <cstdint>
#include <string>
#include <string_view>

#include <splitvit/io/json.hpp>

#include "support/catch.hpp"
#include "support/storage_error.hpp"

using namespace splitvit;
using io::Json;
using io::parse_json;

namespace {

bool damaged(std::string_view text) {
  return support::fails_with(Reason::damaged_file, [&] { parse_json(text); });
}

}  // namespace

TEST_CASE("parse_json: every kind of value", "[io]") {
  const Json json = parse_json(
      R"( {"a": [1, -2.5, 1e3, true, false, null], "b": {"c": "text"}, "": 9007199254740993} )");
  REQUIRE(json.object() != nullptr);
  CHECK(json.object()->at(0).first == "a");  // order is kept
  CHECK(json.object()->at(2).first.empty());
  const auto& a = *json.find("a")->array();
  CHECK(*a[0].whole() == 1);
  CHECK(*a[1].fraction() == -2.5);
  CHECK(*a[2].fraction() == 1000.0);
  CHECK(*a[3].boolean());
  CHECK_FALSE(*a[4].boolean());
  CHECK(a[5].is_null());
  CHECK(*json.find("b")->find("c")->text() == "text");
  CHECK(*json.find("")->whole() == 9007199254740993);  // a double could not hold it
  CHECK(json.find("d") == nullptr);
  CHECK(a[0].find("x") == nullptr);
  CHECK(a[0].text() == nullptr);
}

TEST_CASE("parse_json: numbers as the standard has them", "[io]") {
  CHECK(*parse_json("-0").whole() == 0);
  CHECK(*parse_json("9223372036854775807").whole() == INT64_MAX);
  CHECK(*parse_json("9223372036854775808").fraction() == 0x1p63);
  CHECK(*parse_json("0.5E+1").fraction() == 5.0);
  for (const char* text :
       {"01", "+1", "1.", ".5", "1e", "1e+", "-", "0x1", "NaN", "Infinity", "-Infinity", "1e999"})
    CHECK(damaged(text));
}

TEST_CASE("parse_json: texts with escapes and UTF-8", "[io]") {
  CHECK(*parse_json(R"("\"\\\/\b\f\n\r\t")").text() == "\"\\/\b\f\n\r\t");
  CHECK(*parse_json(R"("\u0041\u00e4\u20ac\ud83d\ude00")").text() ==
        "A\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
  CHECK(*parse_json("\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"").text() ==
        "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
  for (const char* text : {R"("\x")",
                           R"("\u12g4")",
                           R"("\u123")",
                           R"("\ud83d")",
                           R"("\ude00")",
                           R"("\ud83dA")",
                           R"("\ud83d\u0041")",
                           "\"\x01\"",
                           "\"\n\"",
                           "\"",
                           "\"abc",
                           "\"\\",
                           "\"\x80\"",
                           "\"\xc0\x80\"",
                           "\"\xc1\xbf\"",
                           "\"\xe0\x80\x80\"",
                           "\"\xed\xa0\x80\"",
                           "\"\xf0\x80\x80\x80\"",
                           "\"\xf4\x90\x80\x80\"",
                           "\"\xf5\x80\x80\x80\"",
                           "\"\xc3\"",
                           "\"\xe2\x82\"",
                           "\"\xff\""})
    CHECK(damaged(text));
}

TEST_CASE("parse_json: refuses what is not quite JSON", "[io]") {
  for (const char* text :
       {"",        " ",        "{",          "[",     "}",       "[1,]",          "[,1]", "[1 2]",
        "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "{1:1}",   "{'a':1}",       "tru",  "nul",
        "truee",   "1 2",      "[1]]",       "{} x",  "// x\n1", "\xef\xbb\xbf{}"})
    CHECK(damaged(text));
}

TEST_CASE("parse_json: no key twice", "[io]") {
  CHECK(damaged(R"({"a":1,"b":2,"a":3})"));
  CHECK(damaged(R"({"a":1,"\u0061":3})"));
  CHECK_NOTHROW(parse_json(R"({"a":{"a":1},"b":{"a":1}})"));
}

TEST_CASE("parse_json: limits hold", "[io]") {
  const auto too_long = [](const std::string& text, const io::JsonLimits& limits) {
    return support::fails_with(Reason::too_long, [&] { parse_json(text, "JSON", limits); });
  };
  CHECK(too_long("[1,2]", {.bytes = 4}));
  CHECK(too_long("[1,2,3]", {.values = 3}));
  CHECK_NOTHROW(parse_json("[1,2,3]", "JSON", {.values = 4}));
  CHECK(too_long("[[[1]]]", {.depth = 2}));
  CHECK_NOTHROW(parse_json("[[[1]]]", "JSON", {.depth = 3}));
  CHECK(too_long(std::string(100000, '['), {}));
}

TEST_CASE("parse_json: an error names the source and the byte", "[io]") {
  CHECK_THROWS_WITH(parse_json("[1, x]", "settings"), "settings: byte 4: not a value");
}

TEST_CASE("json_quoted: reads back as it was", "[io]") {
  std::string all;
  for (int c = 0; c < 128; ++c) all += static_cast<char>(c);
  all += "\xc3\xa4";
  CHECK(*parse_json(json_quoted(all)).text() == all);
}
