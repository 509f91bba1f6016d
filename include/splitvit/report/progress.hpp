// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>   // max, min
#include <chrono>      // duration, steady_clock
#include <cmath>       // exp
#include <functional>  // function
#include <ostream>     // ostream

#include <splitvit/report/format.hpp>  // fixed, human_bytes, human_seconds, padding, shorten
#include <splitvit/split/report.hpp>   // Traffic

namespace splitvit::inline SPLITVIT_BUILD::report {

enum class Style {
  bar,    ///< one line, drawn again and again; needs a terminal
  plain,  ///< a full line every few seconds, without control codes
  none,   ///< nothing
};

/// The style for what the program found: whether the stream is a terminal, the value of TERM, and
/// what was asked for: "auto", "bar", "plain" or "none". Without such a terminal a bar is plain.
/// Errors  std::invalid_argument for another word.
inline Style choose_style(bool is_terminal, std::string_view term, std::string_view requested) {
  const bool can_draw = is_terminal && !term.empty() && term != "dumb";
  if (requested == "none") return Style::none;
  if (requested == "plain") return Style::plain;
  if (requested == "auto" || requested == "bar") return can_draw ? Style::bar : Style::plain;
  throw std::invalid_argument("choose_style: \"" + one_line(requested) +
                              "\" is not one of auto, bar, plain, none");
}

/// Where training is. Whatever counts, counts from the start of this program.
struct ProgressState {
  std::uint64_t epoch = 0;   ///< from 1
  std::uint64_t epochs = 0;  ///< 0 where that is not known
  std::uint64_t step = 0;    ///< within the epoch, from 1
  std::uint64_t steps = 0;   ///< of an epoch; 0 where that is not known
  double loss = 0;
  std::uint64_t images = 0;  ///< learnt from so far
  split::Traffic traffic{};
};

struct ProgressOptions {
  double every = 5;     ///< seconds between lines of Style::plain
  double redraw = 0.1;  ///< seconds between drawings of Style::bar
  /// Columns of the terminal, asked for each drawing; the bar never fills the last. Absent: 80.
  std::function<std::size_t()> width{};
  std::function<double()> now{};  ///< seconds on any clock that only moves forward
};

/// Shows how far training is, without colour. Images a second are a mean over the last ten seconds
/// or so, the time left follows from all the time so far, evaluations included.
class Progress {
 public:
  Progress(std::ostream& out, Style style, ProgressOptions options = {})
      : out_{&out}, style_{style}, options_{std::move(options)} {
    using Seconds = std::chrono::duration<double>;
    using Clock = std::chrono::steady_clock;
    if (!options_.now)
      options_.now = [] { return Seconds{Clock::now().time_since_epoch()}.count(); };
    if (!options_.width) options_.width = [] { return std::size_t{80}; };
  }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress() {
    try {
      finish();
    } catch (...) {  // a stream that throws is no reason to end the program
    }
  }

  /// Call after every step; draws when it is time to, and at the end of an epoch.
  void update(const ProgressState& state) {
    if (style_ == Style::none) return;
    const double now = options_.now();
    measure(state, now);
    const double pause = style_ == Style::bar ? options_.redraw : options_.every;
    const bool epoch_ends = state.steps > 0 && state.step >= state.steps;
    if (!any_ || epoch_ends || now - shown_time_ >= pause) show(now);
  }

  /// A line of text between the others; with Style::none, nothing.
  void note(std::string_view text) {
    if (style_ == Style::none) return;
    clear();
    *out_ << one_line(text) << '\n' << std::flush;
  }

  /// Takes the bar away until the next update, so that the program can print.
  void clear() {
    if (on_line_) *out_ << "\r\x1b[K" << std::flush;
    on_line_ = false;
  }

  /// Shows the last state, if it was not shown yet, and leaves the cursor on a fresh line.
  void finish() {
    if (state_ && !shown_) show(last_time_);
    if (on_line_) *out_ << '\n' << std::flush;
    on_line_ = false;
  }

 private:
  void measure(const ProgressState& state, double now) {
    if (!state_) {
      first_time_ = now;
      first_done_ = done(state);
    } else {
      const double seconds = std::max(0.0, now - last_time_);
      const double fade = std::exp(-seconds / 10.0);
      const double images =
          state.images >= state_->images ? static_cast<double>(state.images - state_->images) : 0.0;
      recent_images_ = recent_images_ * fade + images;
      recent_seconds_ = recent_seconds_ * fade + seconds;
    }
    state_ = state;
    last_time_ = now;
    shown_ = false;
  }

  static double done(const ProgressState& state) {  // steps over all epochs
    const double before = state.epoch > 0 ? static_cast<double>(state.epoch - 1) : 0.0;
    return before * static_cast<double>(state.steps) + static_cast<double>(state.step);
  }

  std::string line() const {
    const auto of = [](std::uint64_t i, std::uint64_t n) {
      return n > 0 ? joined({i, "/", n}) : joined({i});
    };
    // the most important first: what does not fit is left out from the end
    std::vector<std::string> parts{"epoch " + of(state_->epoch, state_->epochs),
                                   "step " + of(state_->step, state_->steps),
                                   "loss " + fixed(state_->loss, 4)};
    const double all = static_cast<double>(state_->epochs) * static_cast<double>(state_->steps);
    const double now = done(*state_), steps = now - first_done_;
    if (all > 0 && steps > 0)
      parts.push_back("left " + human_seconds((all - now) * (last_time_ - first_time_) / steps));
    parts.push_back("up " + human_bytes(state_->traffic.up.total()));
    parts.push_back("down " + human_bytes(state_->traffic.down.total()));
    if (recent_seconds_ > 0) parts.push_back(fixed(recent_images_ / recent_seconds_, 0) + " img/s");

    const std::size_t room = style_ == Style::bar ? std::max<std::size_t>(options_.width(), 2) - 1
                                                  : static_cast<std::size_t>(-1);
    std::string text;
    for (const std::string& part : parts) {
      const std::size_t wanted = columns(text) + 2 + columns(part);
      if (!text.empty() && wanted > room) break;
      text += (text.empty() ? "" : "  ") + part;
    }
    const std::size_t used = columns(text);
    if (style_ == Style::bar && state_->steps > 0 && room > used + 14) {
      const std::size_t wide = std::min<std::size_t>(room - used - 4, 30);
      const double part = static_cast<double>(state_->step) / static_cast<double>(state_->steps);
      const auto full = static_cast<std::size_t>(std::min(part, 1.0) * static_cast<double>(wide));
      const std::string drawn = std::string(full, '=') + (full < wide ? ">" : "");
      text = "[" + drawn + padding(drawn, wide) + "]  " + text;
    }
    return shorten(text, room);
  }

  void show(double now) {
    on_line_ = style_ == Style::bar;
    *out_ << (on_line_ ? "\r" : "") << line() << (on_line_ ? "\x1b[K" : "\n") << std::flush;
    shown_time_ = now;
    shown_ = any_ = true;
  }

  std::ostream* out_;
  Style style_;
  ProgressOptions options_;
  std::optional<ProgressState> state_;
  double first_time_ = 0, last_time_ = 0, shown_time_ = 0;
  double first_done_ = 0;
  double recent_images_ = 0, recent_seconds_ = 0;
  bool shown_ = false;    ///< the current state is on the screen
  bool any_ = false;      ///< something was shown at all
  bool on_line_ = false;  ///< the cursor stands behind the bar
};

}  // namespace splitvit::inline SPLITVIT_BUILD::report
