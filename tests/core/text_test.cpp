// SPDX-License-Identifier: MIT
#include <charconv>

#include <splitvit/core/text.hpp>

#include "support/catch.hpp"

namespace splitvit {

TEST_CASE("text: a number reads back as it was, in as few characters as that takes", "[core]") {
  CHECK(exact_text(0.1) == "0.1");
  CHECK(exact_text(1.0) == "1");
  CHECK(exact_text(-17) == "-17");
  for (const double value : {1.0 / 3.0, 1e-300, 5e-324, -2.5e17}) {
    const std::string text = exact_text(value);
    double back = 0;
    std::from_chars(text.data(), text.data() + text.size(), back);
    CHECK(back == value);
  }
}

TEST_CASE("text: a number is all of a text", "[core]") {
  CHECK(number_from<int>("-17") == -17);
  CHECK(number_from<double>("2.5e3") == 2500.0);
  for (const char* const text : {"", "x", "1x", " 1", "1 ", "+1", "99999999999"})
    CHECK_FALSE(number_from<int>(text));
  CHECK_FALSE(number_from<double>("1,5"));
}

TEST_CASE("text: sixteen hexadecimal digits, the highest first", "[core]") {
  CHECK(hex_text(0) == "0000000000000000");
  CHECK(hex_text(0x0123456789ABCDEF) == "0123456789abcdef");
}

TEST_CASE("text: a count and its noun", "[core]") {
  CHECK(counted(0, "file") == "0 files");
  CHECK(counted(1, "file") == "1 file");
  CHECK(counted(std::uint64_t{2}, "file") == "2 files");
}

}  // namespace splitvit
