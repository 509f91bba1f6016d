// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/report/format.hpp>  // columns, escape_markup, fixed, one_line, trimmed

namespace splitvit::inline SPLITVIT_BUILD::report::detail {

/// What does not depend on the paper. Shapes and text take the colour of their class.
inline constexpr std::string_view shape_rules =
    ".sv{font:13px system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans','DejaVu Sans',sans-serif}"
    ".sv text{fill:currentColor}.sv .sv-title{font-size:15px;font-weight:600}"
    ".sv .sv-name{font-weight:600}"
    ".sv .sv-halo{paint-order:stroke;stroke-width:4px;stroke-linejoin:round}"
    ".sv .sv-grid,.sv .sv-axis,.sv .sv-line,.sv .sv-bar,.sv .sv-lead{fill:none;stroke:currentColor}"
    ".sv .sv-line{stroke-width:2;stroke-linejoin:round}.sv .sv-lead{stroke-opacity:.6}"
    ".sv .sv-mark{fill:currentColor;stroke:currentColor;stroke-width:1.5}"
    ".sv .sv-band{fill:currentColor;fill-opacity:.15}";

enum class Paper { light, dark };

/// What a colour is for, and the colour on each paper.
struct ColourRule {
  const char* selector;
  const char* property;
  const char* light;
  const char* dark;
};

/// They come after the shapes. The hues of series differ for the common kinds of colour blindness,
/// too (after Okabe and Ito), and have contrast enough for text. Style 0 is for the reference.
inline constexpr std::array<ColourRule, 19> colour_table{{
    {"", "color", "#3b4452", "#c6ceda"},           {" .sv-title", "color", "#12171f", "#f2f5f9"},
    {" .sv-soft", "color", "#5a6575", "#98a3b3"},  {" .sv-grid", "color", "#e3e7ec", "#2b323d"},
    {" .sv-axis", "color", "#8a94a3", "#6b7686"},  {" .sv-halo", "stroke", "#ffffff", "#171b22"},
    {" .sv-hollow", "fill", "#ffffff", "#171b22"}, {" .sv-0", "color", "#3b4452", "#c6ceda"},
    {" .sv-1", "color", "#0a5aa8", "#5fb0f0"},     {" .sv-2", "color", "#c24e00", "#ff9152"},
    {" .sv-3", "color", "#00805a", "#3fcf9f"},     {" .sv-4", "color", "#b0308a", "#f08fd0"},
    {" .sv-5", "color", "#946200", "#e8b84a"},     {" .sv-6", "color", "#0b7a99", "#63d3ee"},
    {" .sv-7", "color", "#5b3a9e", "#b79cff"},     {" .sv-part-0", "fill", "#083b70", "#d3e8fc"},
    {" .sv-part-1", "fill", "#2f79bf", "#6aaeea"}, {" .sv-part-2", "fill", "#dfa25a", "#bd7a33"},
    {" .sv-part-3", "fill", "#f4dcb2", "#7d4f20"},
}};

/// The table as rules, each selector after `where`.
inline std::string colour_rules(Paper paper, const std::string& where) {
  std::string out;
  for (const ColourRule& rule : colour_table)
    out += where + rule.selector + "{" + rule.property + ":" +
           (paper == Paper::light ? rule.light : rule.dark) + "}";
  return out;
}

/// A coordinate, to a tenth of a pixel.
inline std::string px(double value) { return trimmed(fixed(value, 1)); }
inline std::string xy(double x, double y) { return px(x) + "," + px(y); }

/// How wide a character in bold is, in pixels: at most this, in the widest of the fonts above,
/// which is DejaVu Sans.
inline double bold_width_of(char32_t c) {
  constexpr std::u32string_view narrowest = U" ',./:;IJ\\ijl|";
  constexpr std::u32string_view narrow = U"!\"()*-[]_`frt";
  constexpr std::u32string_view widest = U"%@MWmw";
  constexpr double pixels = 13;  // of an em
  const auto is_in = [c](std::u32string_view set) { return set.find(c) != set.npos; };
  if (is_in(narrowest)) return 0.41 * pixels;
  if (is_in(narrow)) return 0.53 * pixels;
  if (is_in(widest)) return 1.11 * pixels;
  if (c >= '0' && c <= '9') return 0.7 * pixels;
  if (c >= 'a' && c <= 'z') return 0.72 * pixels;
  return 0.88 * pixels * static_cast<double>(columns_of(c));
}

/// How wide a text in bold is, in pixels: an estimate on the safe side.
inline double bold_width(std::string_view text) {
  double width = 0;
  while (!text.empty()) {
    const CodePoint c = first_code_point(text);
    width += bold_width_of(c.value);
    text.remove_prefix(c.bytes);
  }
  return width;
}

/// How wide a text in normal weight is.
inline double text_width(std::string_view text) { return 0.93 * bold_width(text); }

/// The text in lines of at most `width` pixels in bold, broken behind punctuation where there is
/// some in the second half of a line.
inline std::vector<std::string> wrapped(std::string_view text, double width) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    std::size_t end = 0, mark = 0;
    for (double used = 0; end < text.size();) {
      const CodePoint c = first_code_point(text.substr(end));
      used += bold_width_of(c.value);
      if (used > width && end > 0) break;
      end += c.bytes;
      if (std::string_view{" ,:;@/"}.find(text[end - 1]) != std::string_view::npos) mark = end;
    }
    if (end < text.size() && mark > end / 2) end = mark;
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  return lines;
}

/// The name of a method or a series as drawings show it: one line of a length that ends.
inline std::string shown_name(std::string_view name) { return shorten(one_line(name), 200); }

/// An attribute in an element, after a space; nothing if the value is empty.
inline std::string attribute(const std::string& name, const std::string& value) {
  return value.empty() ? "" : " " + name + "=\"" + value + "\"";
}

inline constexpr double edge = 8;  ///< of a drawing, in pixels

/// The start of a drawing that takes the width of what it lies in, in the style of light paper.
inline std::string svg_begin(double width, double height, const std::string& title,
                             const std::string& description) {
  std::string out = "<svg xmlns=\"http://www.w3.org/2000/svg\"" +
                    attribute("viewBox", "0 0 " + px(width) + " " + px(height)) +
                    " class=\"sv\" role=\"img\" aria-label=\"" + escape_markup(title) +
                    "\">\n<title>" + escape_markup(title) + "</title>\n";
  if (!description.empty()) out += "<desc>" + escape_markup(description) + "</desc>\n";
  return out + "<style>" + std::string{shape_rules} + colour_rules(Paper::light, ".sv") +
         "</style>\n";
}

inline std::string svg_text(double x, double y, const std::string& text, const std::string& classes,
                            const std::string& anchor = "") {
  return "<text" + attribute("x", px(x)) + attribute("y", px(y)) + attribute("class", classes) +
         attribute("text-anchor", anchor) + ">" + escape_markup(one_line(text)) + "</text>\n";
}

/// `d` is the outline, as in SVG; `dashes` are lengths of lines and gaps.
inline std::string svg_path(const std::string& classes, const std::string& d,
                            const std::string& dashes = "") {
  return "<path" + attribute("class", classes) + attribute("stroke-dasharray", dashes) +
         attribute("d", d) + "/>\n";
}

inline std::string svg_line(double x1, double y1, double x2, double y2,
                            const std::string& classes) {
  return svg_path(classes, "M" + xy(x1, y1) + "L" + xy(x2, y2));
}

inline std::string svg_box(double x, double y, double width, double height,
                           const std::string& classes) {
  return "<rect" + attribute("x", px(x)) + attribute("y", px(y)) + attribute("width", px(width)) +
         attribute("height", px(height)) + attribute("class", classes) + "/>\n";
}

/// The class that gives a series its colour. Seven colours, seven markers and five dash patterns
/// for styles from 1 on: 35 series differ without any colour.
inline std::string colour_class(std::size_t style) {
  return "sv-" + std::to_string(style == 0 ? 0 : 1 + (style - 1) % 7);
}

inline std::string dashes_of(std::size_t style) {
  constexpr std::array<const char*, 5> patterns{"", "7 3", "2 3", "9 3 2 3", "12 4"};
  return patterns[style % patterns.size()];
}

inline std::string svg_marker(double x, double y, std::size_t style) {
  struct Marker {
    double x, y;  ///< where the outline begins
    const char* outline;
    bool hollow;
  };
  constexpr std::array<Marker, 7> markers{{
      {-4, 0, "a4,4 0 1,0 8,0a4,4 0 1,0 -8,0z", true},  // circles
      {-4, 0, "a4,4 0 1,0 8,0a4,4 0 1,0 -8,0z", false},
      {-3.4, -3.4, "h6.8v6.8h-6.8z", false},  // square
      {0, -4.6, "l4.4,7.8h-8.8z", false},     // triangle
      {0, -5, "l5,5l-5,5l-5,-5z", false},     // diamond
      {0, 4.6, "l4.4,-7.8h-8.8z", true},      // triangle on its tip
      {-3.4, -3.4, "h6.8v6.8h-6.8z", true},
  }};
  const Marker& marker = markers[style % markers.size()];
  return svg_path("sv-mark " + colour_class(style) + (marker.hollow ? " sv-hollow" : ""),
                  "M" + xy(x + marker.x, y + marker.y) + marker.outline);
}

}  // namespace splitvit::inline SPLITVIT_BUILD::report::detail
