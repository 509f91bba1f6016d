// SPDX-License-Identifier: MIT
#include "split_train/progress.hpp"

#include <cstddef>   // size_t
#include <cstdlib>   // getenv
#include <iostream>  // cerr

#include <sys/ioctl.h>  // ioctl, TIOCGWINSZ
#include <unistd.h>     // isatty

#include <splitvit/core/text.hpp>  // counted

namespace split_train {

namespace report = splitvit::report;

namespace {

std::size_t terminal_width() {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

}  // namespace

report::Progress make_progress(const Options& options) {
  const char* const term = std::getenv("TERM");
  const report::Style style = report::choose_style(::isatty(STDERR_FILENO) != 0,
                                                   term == nullptr ? "" : term, options.progress);
  return {std::cerr, style, {.width = terminal_width}};
}

void note_saturated(report::Progress& progress, const splitvit::split::EpochReport& steps) {
  if (steps.saturated > 0)
    progress.note("too large for the codec and sent as its largest number: " +
                  splitvit::counted(steps.saturated, "activation"));
}

}  // namespace split_train
