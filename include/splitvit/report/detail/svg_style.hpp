// SPDX-License-Identifier: MIT
#pragma once

#include <array>        // array
#include <cstddef>      // size_t
#include <string>       // string, to_string
#include <string_view>  // string_view

// The colours and the style sheet of drawings, for light and for dark paper.

namespace splitvit::report::detail {

/// Style 0 is for the reference, in the colour of ink. Seven markers and five dash patterns:
/// 35 series differ without any colour.
inline constexpr std::size_t colours = 8;
inline constexpr std::size_t markers = 7;
inline constexpr std::size_t dashes = 5;

inline std::size_t colour_of(std::size_t style) {
  return style == 0 ? 0 : 1 + (style - 1) % (colours - 1);
}

struct Palette {
  std::string_view paper, strong, ink, soft, axis, grid;
  std::array<std::string_view, colours> series;
  std::array<std::string_view, 4>
      parts;  ///< of a bar: steps of lightness, to tell them apart in grey
};

/// Hues that the common kinds of colour blindness keep apart (after Okabe and Ito), each with
/// contrast enough to be text on its paper.
inline constexpr Palette light_palette{
    "#ffffff",
    "#12171f",
    "#3b4452",
    "#5a6575",
    "#8a94a3",
    "#e3e7ec",
    {"#3b4452", "#0a5aa8", "#c24e00", "#00805a", "#b0308a", "#946200", "#0b7a99", "#5b3a9e"},
    {"#083b70", "#2f79bf", "#dfa25a", "#f4dcb2"}};
inline constexpr Palette dark_palette{
    "#171b22",
    "#f2f5f9",
    "#c6ceda",
    "#98a3b3",
    "#6b7686",
    "#2b323d",
    {"#c6ceda", "#5fb0f0", "#ff9152", "#3fcf9f", "#f08fd0", "#e8b84a", "#63d3ee", "#b79cff"},
    {"#d3e8fc", "#6aaeea", "#bd7a33", "#7d4f20"}};

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

/// Colours as rules, each selector after `where`; they come after the shapes.
inline std::string colour_rules(const Palette& palette, std::string_view where) {
  std::string out;
  const auto rule = [&](const std::string& selector, const char* property,
                        std::string_view colour) {
    out.append(where).append(selector).append("{").append(property).append(":");
    out.append(colour).append("}");
  };
  rule("", "color", palette.ink);
  rule(" .sv-title", "color", palette.strong);
  rule(" .sv-soft", "color", palette.soft);
  rule(" .sv-grid", "color", palette.grid);
  rule(" .sv-axis", "color", palette.axis);
  rule(" .sv-halo", "stroke", palette.paper);
  rule(" .sv-hollow", "fill", palette.paper);
  for (std::size_t i = 0; i < colours; ++i)
    rule(" .sv-" + std::to_string(i), "color", palette.series[i]);
  for (std::size_t i = 0; i < palette.parts.size(); ++i)
    rule(" .sv-part-" + std::to_string(i), "fill", palette.parts[i]);
  return out;
}

/// The style sheet of a drawing on its own, which is on light paper.
inline std::string svg_style() {
  return std::string{shape_rules} + colour_rules(light_palette, ".sv");
}

}  // namespace splitvit::report::detail
