// SPDX-License-Identifier: MIT
#include <stdexcept>

#include <splitvit/compress/stage_text.hpp>

#include "support/catch.hpp"

using namespace splitvit;
using compress::StageText;

TEST_CASE("StageText: name, number and options", "[compress]") {
  StageText text{"mix:0.25:times=3:soft=yes", "mix:R"};
  CHECK(text.name() == "mix");
  CHECK(text.ratio() == 0.25);
  int times = 1;
  double weight = 0.5;
  bool soft = false;
  text.option("times", times, 1);
  text.option("weight", weight, 0);
  text.option("soft", soft);
  CHECK(times == 3);
  CHECK(weight == 0.5);
  CHECK(soft);
  CHECK_NOTHROW(text.finish());
}

TEST_CASE("StageText: complaints name the reader, the text and what is possible", "[compress]") {
  const auto complaint = [](const char* written, const auto& read) {
    StageText text{written, "mix:R", "my_reader"};
    try {
      read(text);
      text.finish();
    } catch (const std::invalid_argument& error) {
      return std::string{error.what()};
    }
    return std::string{};
  };
  const auto ratio = [](StageText& text) { text.ratio(); };
  CHECK(complaint("mix", ratio) == "my_reader: 'mix' needs a number; possible are mix:R");
  CHECK_THAT(complaint("mix:2", ratio), ContainsSubstring("outside (0, 1]"));
  CHECK_THAT(complaint("mix:0.5:x=1", ratio), ContainsSubstring("mix takes no options"));
  const auto with_times = [](StageText& text) {
    text.ratio();
    int times = 1;
    text.option("times", times, 1);
  };
  CHECK_THAT(complaint("mix:0.5:times=0", with_times),
             ContainsSubstring("times=0; wanted a whole number, at least 1"));
  CHECK_THAT(complaint("mix:0.5:times=2:times=3", with_times),
             ContainsSubstring("cannot have 'times=3'; mix takes each once, as name=value, times"));
}
