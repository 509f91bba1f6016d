// SPDX-License-Identifier: MIT
#include <algorithm>
#include <ostream>
#include <sstream>
#include <stdexcept>
#include <string>

#include <splitvit/report/progress.hpp>

#include "report/samples.hpp"
#include "report/well_formed.hpp"
#include "support/catch.hpp"

namespace report = splitvit::report;
using report::Progress;
using report::ProgressState;
using report::Style;
using well_formed::count;

namespace {

/// Ten steps an epoch, 64 images and 3 KiB a step.
ProgressState state(std::uint64_t epoch, std::uint64_t step) {
  const std::uint64_t done = (epoch - 1) * 10 + step;
  return {.epoch = epoch,
          .epochs = 2,
          .step = step,
          .steps = 10,
          .loss = 0.5,
          .images = 64 * done,
          .traffic = {{2048 * done, 0}, {1024 * done, 0}}};
}

bool has_control_codes(const std::string& text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return c != '\n' && static_cast<unsigned char>(c) < 0x20; });
}

std::string last_line(const std::string& text) {
  const std::size_t end = text.find_last_not_of('\n');
  const std::size_t begin = text.find_last_of('\n', end);
  return text.substr(begin + 1, end - begin);
}

}  // namespace

TEST_CASE("choose_style: a bar only where it can be drawn", "[report]") {
  CHECK(report::choose_style(true, "xterm-256color", "auto") == Style::bar);
  CHECK(report::choose_style(false, "xterm", "auto") == Style::plain);
  CHECK(report::choose_style(true, "dumb", "auto") == Style::plain);
  CHECK(report::choose_style(true, "", "auto") == Style::plain);
  CHECK(report::choose_style(true, "xterm", "plain") == Style::plain);
  CHECK(report::choose_style(true, "xterm", "none") == Style::none);
  CHECK(report::choose_style(true, "xterm", "bar") == Style::bar);
  CHECK(report::choose_style(false, "xterm", "bar") == Style::plain);
  CHECK_THROWS_AS(report::choose_style(true, "xterm", "fancy"), std::invalid_argument);
}

TEST_CASE("progress: plain lines every few seconds, without control codes", "[report]") {
  std::ostringstream out;
  double now = 100;
  {
    Progress progress{out, Style::plain, {.every = 5, .now = [&now] { return now; }}};
    for (std::uint64_t step = 1; step <= 9; ++step, now += 1) progress.update(state(1, step));
  }
  // at once, five seconds later, and what was not shown yet at the end
  CHECK(count(out.str(), "\n") == 3);
  CHECK_FALSE(has_control_codes(out.str()));
  CHECK(out.str().substr(0, out.str().find('\n')) ==
        "epoch 1/2  step 1/10  loss 0.5000  up 2.00 KiB  down 1.00 KiB");
  CHECK(last_line(out.str()) ==
        "epoch 1/2  step 9/10  loss 0.5000  left 11.0 s  up 18.0 KiB  down 9.00 KiB  64 img/s");
}

TEST_CASE("progress: the end of an epoch is shown, and only once", "[report]") {
  std::ostringstream out;
  Progress progress{out, Style::plain, {.every = 1000, .now = [] { return 1.0; }}};
  for (std::uint64_t step = 1; step <= 10; ++step) progress.update(state(1, step));
  progress.finish();
  progress.finish();
  CHECK(count(out.str(), "\n") == 2);
  CHECK_THAT(last_line(out.str()), ContainsSubstring("step 10/10"));
}

TEST_CASE("progress: a bar stays on its line and leaves a fresh one", "[report]") {
  std::ostringstream out;
  double now = 0;
  Progress progress{
      out,
      Style::bar,
      {.redraw = 0.1, .width = [] { return std::size_t{100}; }, .now = [&now] { return now; }}};
  for (std::uint64_t step = 1; step <= 5; ++step, now += 1) progress.update(state(1, step));
  CHECK(count(out.str(), "\n") == 0);
  CHECK(count(out.str(), "\r") == 5);
  CHECK(count(out.str(), "\x1b[K") == 5);
  CHECK_THAT(out.str(), ContainsSubstring("==>"));
  CHECK(count(out.str(), "\x1b") == 5);  // no colour
  progress.finish();
  CHECK(out.str().back() == '\n');
  CHECK(count(out.str(), "\n") == 1);
}

TEST_CASE("progress: a bar is not drawn more often than asked for", "[report]") {
  std::ostringstream out;
  double now = 0;
  Progress progress{out, Style::bar, {.redraw = 1, .now = [&now] { return now; }}};
  for (std::uint64_t step = 1; step <= 9; ++step, now += 0.25) progress.update(state(1, step));
  CHECK(count(out.str(), "\r") == 3);
}

TEST_CASE("progress: a bar never reaches the last column", "[report]") {
  for (const std::size_t width : {1u, 2u, 10u, 20u, 40u, 60u, 80u, 200u}) {
    std::ostringstream out;
    double now = 0;
    Progress progress{
        out, Style::bar, {.width = [width] { return width; }, .now = [&now] { return now; }}};
    for (std::uint64_t step = 1; step <= 10; ++step, now += 1) progress.update(state(1, step));
    std::string drawn = out.str();
    drawn = drawn.substr(drawn.rfind('\r') + 1);
    drawn = drawn.substr(0, drawn.find('\x1b'));
    CHECK(report::columns(drawn) <= std::max<std::size_t>(width, 2) - 1);
  }
}

TEST_CASE("progress: a bar follows a terminal that is resized", "[report]") {
  std::ostringstream out;
  double now = 0;
  std::size_t width = 100;
  Progress progress{
      out, Style::bar, {.width = [&width] { return width; }, .now = [&now] { return now; }}};
  const auto drawn = [&] {
    progress.update(state(1, static_cast<std::uint64_t>(++now)));
    const std::string all = out.str();
    const std::string last = all.substr(all.rfind('\r') + 1);
    return report::columns(last.substr(0, last.find('\x1b')));
  };
  CHECK(drawn() > 40);
  CHECK(drawn() > 40);
  width = 40;
  CHECK(drawn() <= 39);
  width = 120;
  CHECK(drawn() > 60);
}

TEST_CASE("progress: notes and clear make room for other output", "[report]") {
  std::ostringstream out;
  Progress bar{out, Style::bar, {.now = [] { return 0.0; }}};
  bar.update(state(1, 1));
  bar.note("test accuracy 96.3 %\nand\x1b[2J");
  CHECK_THAT(out.str(), ContainsSubstring("\r\x1b[Ktest accuracy 96.3 % and [2J\n"));
  bar.update(state(1, 10));
  bar.clear();
  CHECK(out.str().substr(out.str().size() - 4) == "\r\x1b[K");
  const std::string before = out.str();
  bar.finish();
  CHECK(out.str() == before);  // the cursor is at the start of a line already
}

TEST_CASE("progress: none writes nothing", "[report]") {
  std::ostringstream out;
  {
    Progress progress{out, Style::none};
    progress.update(state(1, 1));
    progress.note("note");
    progress.clear();
  }
  CHECK(out.str().empty());
}

TEST_CASE("progress: unknown totals and odd numbers", "[report]") {
  std::ostringstream out;
  double now = 0;
  Progress progress{out, Style::bar, {.redraw = 0, .now = [&now] { return now; }}};
  progress.update({.epoch = 1, .step = 5, .loss = 0.0 / 0.0});
  now = -5;  // a clock that breaks its promise
  progress.update({.epoch = 1, .step = 3, .loss = 1 / 0.0, .images = 1});
  progress.update({.images = 0});
  CHECK_THAT(out.str(), ContainsSubstring("epoch 1  step 5  loss \xE2\x80\x93"));
  CHECK(well_formed::all_finite(out.str()));
}

TEST_CASE("progress: no locale has a say, and a stream that throws ends nothing", "[report]") {
  const samples::CommaLocale comma;
  std::ostringstream out;
  {
    Progress progress{out, Style::plain, {.now = [] { return 0.0; }}};
    progress.update({.epoch = 1234, .step = 5678, .loss = 1.5});
  }
  CHECK(last_line(out.str()) == "epoch 1234  step 5678  loss 1.5000  up 0 B  down 0 B");

  std::ostream broken{nullptr};
  const auto destroy = [&broken] {
    Progress progress{broken, Style::bar, {.redraw = 1e9}};
    progress.update(state(1, 1));
    progress.update(state(1, 2));
    broken.exceptions(std::ios::badbit | std::ios::failbit);
  };
  CHECK_THROWS_AS(destroy(), std::ios_base::failure);  // thrown by exceptions(), not at the end
}
