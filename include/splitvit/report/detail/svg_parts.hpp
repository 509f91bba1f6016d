// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>      // size_t
#include <string>       // string, to_string
#include <string_view>  // string_view

#include <splitvit/report/detail/svg_style.hpp>  // colour_of, svg_style
#include <splitvit/report/format.hpp>            // fixed, trimmed
#include <splitvit/report/markup.hpp>            // escape_markup
#include <splitvit/report/utf8.hpp>              // columns, shorten

// What drawings are made of: text, lines, boxes, markers, dashes.

namespace splitvit::report::detail {

/// A coordinate, to a tenth of a pixel.
inline std::string px(double value) { return trimmed(fixed(value, 1)); }

inline std::string xy(double x, double y) { return px(x) + "," + px(y); }

/// How wide a text is, for the system's fonts: an estimate on the safe side.
inline double text_width(std::string_view text, double size = 13) {
  return 0.58 * size * static_cast<double>(columns(text));
}

/// The start of a drawing that takes the width of what it lies in.
inline std::string svg_begin(double width, double height, std::string_view title,
                             std::string_view description) {
  std::string out = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " + px(width) + " " +
                    px(height) + "\" class=\"sv\" role=\"img\" aria-label=\"" +
                    escape_markup(title) + "\">\n<title>" + escape_markup(title) + "</title>\n";
  if (!description.empty()) out += "<desc>" + escape_markup(description) + "</desc>\n";
  return out + "<style>" + svg_style() + "</style>\n";
}

inline std::string svg_text(double x, double y, std::string_view text, std::string_view classes,
                            std::string_view anchor = "start") {
  std::string out = "<text x=\"" + px(x) + "\" y=\"" + px(y) + "\"";
  if (!classes.empty()) out += " class=\"" + std::string{classes} + "\"";
  if (anchor != "start") out += " text-anchor=\"" + std::string{anchor} + "\"";
  return out + ">" + escape_markup(one_line(text)) + "</text>\n";
}

inline std::string svg_line(double x1, double y1, double x2, double y2, std::string_view classes) {
  return "<path class=\"" + std::string{classes} + "\" d=\"M" + xy(x1, y1) + "L" + xy(x2, y2) +
         "\"/>\n";
}

inline std::string svg_box(double x, double y, double width, double height,
                           std::string_view classes) {
  return "<rect x=\"" + px(x) + "\" y=\"" + px(y) + "\" width=\"" + px(width) + "\" height=\"" +
         px(height) + "\" class=\"" + std::string{classes} + "\"/>\n";
}

inline std::string dash_of(std::size_t style) {
  constexpr std::string_view patterns[dashes] = {"", "7 3", "2 3", "9 3 2 3", "12 4"};
  const std::string_view pattern = patterns[style % dashes];
  return pattern.empty() ? "" : " stroke-dasharray=\"" + std::string{pattern} + "\"";
}

/// A marker around (x, y).
inline std::string svg_marker(double x, double y, std::size_t style) {
  const double r = 4;
  const auto shape = [&](const std::string& d) { return " d=\"" + d + "\"/>\n"; };
  const std::string begin = "<path class=\"sv-mark sv-" + std::to_string(colour_of(style));
  switch (style % markers) {
    case 0:  // ring
      return begin + " sv-hollow\"" + shape("M" + xy(x - r, y) + "a4,4 0 1,0 8,0a4,4 0 1,0 -8,0z");
    case 1:  // disc
      return begin + "\"" + shape("M" + xy(x - r, y) + "a4,4 0 1,0 8,0a4,4 0 1,0 -8,0z");
    case 2:  // square
      return begin + "\"" + shape("M" + xy(x - 3.4, y - 3.4) + "h6.8v6.8h-6.8z");
    case 3:  // triangle
      return begin + "\"" + shape("M" + xy(x, y - 4.6) + "l4.4,7.8h-8.8z");
    case 4:  // diamond
      return begin + "\"" + shape("M" + xy(x, y - 5) + "l5,5l-5,5l-5,-5z");
    case 5:  // triangle on its tip
      return begin + " sv-hollow\"" + shape("M" + xy(x, y + 4.6) + "l4.4,-7.8h-8.8z");
    default:  // empty square
      return begin + " sv-hollow\"" + shape("M" + xy(x - 3.4, y - 3.4) + "h6.8v6.8h-6.8z");
  }
}

}  // namespace splitvit::report::detail
