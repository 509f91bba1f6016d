// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>    // clamp, max, min
#include <chrono>       // duration, steady_clock
#include <cmath>        // exp, isfinite
#include <cstddef>      // size_t
#include <cstdint>      // uint64_t
#include <functional>   // function
#include <optional>     // optional
#include <ostream>      // ostream
#include <stdexcept>    // invalid_argument
#include <string>       // string, to_string
#include <string_view>  // string_view
#include <utility>      // move
#include <vector>       // vector

#include <splitvit/report/format.hpp>  // fixed, human_bytes, human_seconds
#include <splitvit/report/utf8.hpp>    // columns, one_line, shorten
#include <splitvit/split/report.hpp>   // Traffic

// Progress: how far training is, on a stream that the program gives. It uses no colour.

namespace splitvit::report {

enum class Style {
  bar,    ///< one line, drawn again and again; needs a terminal
  plain,  ///< a full line every few seconds, without control codes
  none,   ///< nothing
};

/// The style for what the program found: whether the stream is a terminal, the value of TERM,
/// and what was asked for: "auto", "bar", "plain" or "none". A bar is drawn only by a terminal
/// that can; where one was asked for and cannot be had, lines are printed.
///
/// Errors  std::invalid_argument for another word.
Style choose_style(bool is_terminal, std::string_view term, std::string_view requested);

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
  double every = 5;               ///< seconds between lines of Style::plain
  double redraw = 0.1;            ///< seconds between drawings of Style::bar
  std::size_t width = 80;         ///< columns of the terminal; the bar never fills the last
  std::function<double()> now{};  ///< seconds on any clock that only moves forward
};

/// Images a second are a mean over the last ten seconds or so, the time left is one over all
/// the time so far, evaluations included.
class Progress {
 public:
  Progress(std::ostream& out, Style style, ProgressOptions options = {});
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress();

  /// Call after every step; draws when it is time to, and at the end of an epoch.
  void update(const ProgressState& state);

  /// A line of text between the others; with Style::none, nothing.
  void note(std::string_view text);

  /// Takes the bar away until the next update, so that the program can print.
  void clear();

  /// Shows the last state, if it was not shown yet, and leaves the cursor on a fresh line.
  void finish();

 private:
  void measure(const ProgressState& state, double now);
  std::string line() const;
  std::string bar(std::size_t room) const;
  void show(double now);
  double done(const ProgressState& state) const;

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

inline Style choose_style(bool is_terminal, std::string_view term, std::string_view requested) {
  const bool can_draw = is_terminal && !term.empty() && term != "dumb";
  if (requested == "none") return Style::none;
  if (requested == "plain") return Style::plain;
  if (requested == "auto" || requested == "bar") return can_draw ? Style::bar : Style::plain;
  throw std::invalid_argument("choose_style: \"" + one_line(requested) +
                              "\" is not one of auto, bar, plain, none");
}

inline Progress::Progress(std::ostream& out, Style style, ProgressOptions options)
    : out_{&out}, style_{style}, options_{std::move(options)} {
  if (!options_.now)
    options_.now = [] {
      return std::chrono::duration<double>{std::chrono::steady_clock::now().time_since_epoch()}
          .count();
    };
}

inline Progress::~Progress() {
  try {
    finish();
  } catch (...) {  // a stream that throws is no reason to end the program
  }
}

inline void Progress::update(const ProgressState& state) {
  if (style_ == Style::none) return;
  const double now = options_.now();
  measure(state, now);
  const double pause = style_ == Style::bar ? options_.redraw : options_.every;
  const bool epoch_ends = state.steps > 0 && state.step >= state.steps;
  if (!any_ || epoch_ends || now - shown_time_ >= pause) show(now);
}

inline void Progress::note(std::string_view text) {
  if (style_ == Style::none) return;
  clear();
  *out_ << one_line(text) << '\n' << std::flush;
}

inline void Progress::clear() {
  if (on_line_) *out_ << "\r\x1b[K" << std::flush;
  on_line_ = false;
}

inline void Progress::finish() {
  if (state_ && !shown_) show(last_time_);
  if (on_line_) *out_ << '\n' << std::flush;
  on_line_ = false;
}

inline void Progress::measure(const ProgressState& state, double now) {
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

/// Steps done over all epochs.
inline double Progress::done(const ProgressState& state) const {
  const double before = state.epoch > 0 ? static_cast<double>(state.epoch - 1) : 0.0;
  return before * static_cast<double>(state.steps) + static_cast<double>(state.step);
}

inline std::string Progress::bar(std::size_t room) const {
  const double part =
      std::clamp(static_cast<double>(state_->step) / static_cast<double>(state_->steps), 0.0, 1.0);
  const auto full = static_cast<std::size_t>(part * static_cast<double>(room));
  std::string drawn(full, '=');
  if (full < room) drawn += '>';
  return "[" + pad_right(drawn, room) + "]";
}

inline std::string Progress::line() const {
  const auto of = [](std::uint64_t i, std::uint64_t n) {
    return std::to_string(i) + (n > 0 ? "/" + std::to_string(n) : "");
  };
  const auto bytes = [](const split::Bytes& b) {
    return human_bytes(static_cast<double>(b.total()));
  };
  // the most important first: what does not fit is left out from the end
  std::vector<std::string> parts{"epoch " + of(state_->epoch, state_->epochs),
                                 "step " + of(state_->step, state_->steps),
                                 "loss " + fixed(state_->loss, 4)};
  const double all = static_cast<double>(state_->epochs) * static_cast<double>(state_->steps);
  const double steps = done(*state_) - first_done_;
  if (all > 0 && steps > 0)
    parts.push_back("left " +
                    human_seconds((all - done(*state_)) * (last_time_ - first_time_) / steps));
  parts.push_back("up " + bytes(state_->traffic.up));
  parts.push_back("down " + bytes(state_->traffic.down));
  if (recent_seconds_ > 0) parts.push_back(fixed(recent_images_ / recent_seconds_, 0) + " img/s");

  const std::size_t room = style_ == Style::bar ? std::max<std::size_t>(options_.width, 2) - 1
                                                : static_cast<std::size_t>(-1);
  std::string text;
  for (const std::string& part : parts) {
    const std::size_t wanted = columns(text) + 2 + columns(part);
    if (!text.empty() && wanted > room) break;
    text += (text.empty() ? "" : "  ") + part;
  }
  const std::size_t used = columns(text);
  if (style_ == Style::bar && state_->steps > 0 && room > used + 14)
    text = bar(std::min<std::size_t>(room - used - 4, 30)) + "  " + text;
  return shorten(text, room);
}

inline void Progress::show(double now) {
  if (style_ == Style::bar) {
    *out_ << '\r' << line() << "\x1b[K" << std::flush;
    on_line_ = true;
  } else {
    *out_ << line() << '\n' << std::flush;
  }
  shown_time_ = now;
  shown_ = any_ = true;
}

}  // namespace splitvit::report
