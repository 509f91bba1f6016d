// SPDX-License-Identifier: MIT
#pragma once

#include <array>        // array
#include <concepts>     // floating_point
#include <cstddef>      // size_t
#include <optional>     // optional
#include <stdexcept>    // invalid_argument
#include <string>       // string, to_string
#include <string_view>  // string_view

#include <splitvit/codec/any_codec.hpp>      // AnyCodec
#include <splitvit/codec/float32.hpp>        // Float32
#include <splitvit/codec/parse.hpp>          // parse_codec
#include <splitvit/compress/any_stage.hpp>   // AnyStage
#include <splitvit/compress/identity.hpp>    // Identity
#include <splitvit/compress/parse.hpp>       // parse_stage
#include <splitvit/compress/stage_text.hpp>  // StageText
#include <splitvit/core/text.hpp>            // Named
#include <splitvit/nn/bottleneck.hpp>        // BottleneckOptions

// parse_method: all that happens to a batch at the cut, from one text.

namespace splitvit::split {

/// How a bottleneck is initialised.
enum class BottleneckStart {
  random,
  pca,  ///< see nn::pca_bottleneck
};

/// What happens at the cut: stages, then a bottleneck, then a codec.
template <std::floating_point T>
struct Method {
  compress::AnyStage<T> stage;
  std::optional<nn::BottleneckOptions> bottleneck = {};
  BottleneckStart start = BottleneckStart::random;
  codec::AnyCodec<T> codec = codec::Float32{};
};

namespace detail {

inline constexpr std::array<Named<BottleneckStart>, 2> start_names{
    {{"random", BottleneckStart::random}, {"pca", BottleneckStart::pca}}};

template <std::floating_point T>
void read_bottleneck(std::string_view written, Method<T>& method) {
  compress::StageText text{written, "bottleneck:R with a number in (0, 1]", "parse_method"};
  nn::BottleneckOptions options{.ratio = text.ratio()};
  text.option("start", method.start, start_names);
  if (method.start == BottleneckStart::pca) options.layers = 1;
  text.option("layers", options.layers, 1);
  text.option("decoder_relu", options.decoder_relu);
  text.option("frozen", options.frozen);
  text.finish();
  if (method.start == BottleneckStart::pca && options.layers != 1)
    text.fail("has start=pca, which needs layers=1, not " + std::to_string(options.layers));
  method.bottleneck = options;
}

}  // namespace detail

/// Stages as parse_stage takes them, then a bottleneck, then @ and a codec as parse_codec takes
/// it; each of them may be left out:
///
///   adc:0.1   adc:0.1@q:8   merge:0.3,bottleneck:0.25@q:8   bottleneck:0.1:start=pca:frozen=yes
///
/// A bottleneck's options: layers=, decoder_relu=yes|no, frozen=yes|no, start=random|pca.
///
/// Errors  std::invalid_argument naming the text that is wrong and the possible ones.
template <std::floating_point T>
Method<T> parse_method(std::string_view text) {
  const std::size_t at = text.find('@');
  std::string_view stages = text.substr(0, at);
  Method<T> method{
      .stage = compress::Identity{},
      .codec = codec::parse_codec<T>(at == text.npos ? "float32" : text.substr(at + 1))};
  const std::size_t comma = stages.rfind(',');
  const std::string_view last = comma == stages.npos ? stages : stages.substr(comma + 1);
  if (last.substr(0, last.find(':')) == "bottleneck") {
    detail::read_bottleneck(last, method);
    stages = comma == stages.npos ? "none" : stages.substr(0, comma);
  }
  if (("," + std::string{stages}).find(",bottleneck") != std::string::npos)
    throw std::invalid_argument("parse_method: '" + std::string{text} +
                                "': wanted one bottleneck:R at most, behind all stages");
  method.stage = compress::parse_stage<T>(stages);
  return method;
}

}  // namespace splitvit::split
