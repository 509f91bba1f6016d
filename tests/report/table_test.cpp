// SPDX-License-Identifier: MIT
#include <string>

#include <splitvit/report/table.hpp>

#include "support/catch.hpp"

namespace report = splitvit::report;

TEST_CASE("render_table: aligned by columns on the screen", "[report]") {
  CHECK(report::render_table({.header = {"name", "n"},
                              .rows = {{"a", "1"},
                                       {"gr\xC3\xBC\xC3\x9F"
                                        "e",
                                        "1000"},
                                       {"b"}}}) ==
        "name      n\n"
        "-----  ----\n"
        "a         1\n"
        "gr\xC3\xBC\xC3\x9F"
        "e  1000\n"
        "b\n");
  CHECK(report::render_table({}).empty());
}

TEST_CASE("render_table: a name cannot break the table", "[report]") {
  CHECK(report::render_table({.header = {}, .rows = {{"a\nb\x1b[2J", "1"}}}) == "a b [2J  1\n");
}

TEST_CASE("render_table: a row of one cell does not widen the columns", "[report]") {
  CHECK(report::render_table(
            {.header = {"name", "n"}, .rows = {{"a rather long name"}, {"", "1"}}}) ==
        "name  n\n"
        "----  -\n"
        "a rather long name\n"
        "      1\n");
}
