// SPDX-License-Identifier: MIT
#pragma once

#include <charconv>      // from_chars
#include <concepts>      // floating_point
#include <optional>      // optional
#include <stdexcept>     // invalid_argument
#include <string>        // string
#include <string_view>   // string_view
#include <system_error>  // errc
#include <utility>       // move

#include <splitvit/compress/adc.hpp>            // adc
#include <splitvit/compress/dynamic_stage.hpp>  // DynamicStage
#include <splitvit/compress/identity.hpp>       // Identity
#include <splitvit/compress/merge_samples.hpp>  // MergeSamples
#include <splitvit/compress/select_tokens.hpp>  // SelectTokens
#include <splitvit/compress/then.hpp>           // then

// parse_stage: a stage from a text, as people write it on a command line.

namespace splitvit::compress {

namespace detail {

/// One stage of the text, such as "merge:0.3".
template <std::floating_point T>
DynamicStage<T> parse_single_stage(std::string_view text) {
  const auto fail = [text](const std::string& why) {
    throw std::invalid_argument("parse_stage: '" + std::string{text} + "' " + why +
                                "; possible are none, adc:XI, merge:R, select:R, merge:R,select:R "
                                "with numbers in (0, 1]");
  };
  const std::size_t colon = text.find(':');
  const std::string_view name = text.substr(0, colon);
  if (name == "none") {
    if (colon != std::string_view::npos) fail("takes no number");
    return Identity{};
  }
  if (name != "adc" && name != "merge" && name != "select") fail("is no method");
  if (colon == std::string_view::npos) fail("needs a number");
  const std::string_view digits = text.substr(colon + 1);
  double keep = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), keep);
  if (error != std::errc{} || end != digits.data() + digits.size()) fail("has no number after ':'");
  if (!(keep > 0 && keep <= 1)) fail("has a number outside (0, 1]");
  if (name == "adc") return adc(keep);
  if (name == "merge") return MergeSamples{.keep = keep};
  return SelectTokens{.keep = keep};
}

}  // namespace detail

/// `none`, `adc:XI`, `merge:R`, `select:R`, or several with commas between, applied from left
/// to right: `merge:0.3,select:0.3`.
///
/// Errors  std::invalid_argument naming the part that is wrong and what is possible.
template <std::floating_point T>
DynamicStage<T> parse_stage(std::string_view text) {
  const std::size_t comma = text.find(',');
  DynamicStage<T> first = detail::parse_single_stage<T>(text.substr(0, comma));
  if (comma == std::string_view::npos) return first;
  return then(std::move(first), parse_stage<T>(text.substr(comma + 1)));
}

}  // namespace splitvit::compress
