// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/codec/any_codec.hpp>     // AnyCodec
#include <splitvit/compress/any_stage.hpp>  // AnyStage
#include <splitvit/compress/then.hpp>       // Identity
#include <splitvit/nn/bottleneck.hpp>       // BottleneckOptions
#include <splitvit/nn/feedback.hpp>         // Feedback
#include <splitvit/spec/codecs.hpp>         // parse_codec
#include <splitvit/spec/grammar.hpp>        // PolicyText, read_policy
#include <splitvit/spec/stages.hpp>         // parse_stage

namespace splitvit::inline SPLITVIT_BUILD::spec {

/// What happens at the cut: stages, then a bottleneck, then a codec; and what comes back.
template <std::floating_point T>
struct Method {
  compress::AnyStage<T> stage = compress::Identity{};
  std::optional<nn::BottleneckOptions> bottleneck = {};
  codec::AnyCodec<T> codec = {};
  nn::Feedback feedback = {};
};

/// Stages as parse_stage takes them, then a bottleneck and feedback, then @ and a codec as
/// parse_codec takes it; each of them may be left out:
///
///   adc:0.1   adc:0.1@q:8   merge:0.3,bottleneck:0.25@q:8   bottleneck:0.1:start=pca:frozen=yes
///   adc:0.1,feedback:local   feedback:every:4@transform:2
///
/// Errors  std::invalid_argument naming the text that is wrong and the possible ones.
template <std::floating_point T>
Method<T> parse_method(std::string_view text) {
  constexpr std::string_view reader = "parse_method";
  Method<T> method;
  const std::size_t at = text.find('@');
  if (at != text.npos) method.codec = parse_codec<T>(text.substr(at + 1));
  std::string_view stages = text.substr(0, at);
  const auto take_last = [&]<class Policy>(std::optional<Policy>& policy) {
    const std::size_t comma = stages.rfind(',');
    const PolicyText last{reader, stages.substr(comma == stages.npos ? 0 : comma + 1)};
    if (policy || last.name() != Policy::name) return;
    policy = read_policy<Policy>(last);
    stages = comma == stages.npos ? compress::Identity::name : stages.substr(0, comma);
  };
  std::optional<nn::Feedback> feedback;
  take_last(feedback);
  take_last(method.bottleneck);
  take_last(feedback);
  if (feedback) method.feedback = *feedback;
  for (const std::string_view name : {nn::BottleneckOptions::name, nn::Feedback::name})
    if (("," + std::string{stages}).find("," + std::string{name}) != std::string::npos)
      refuse_text(reader, text, {"has ", name, " before a stage, or twice"});
  method.stage = parse_stage<T>(stages);
  return method;
}

}  // namespace splitvit::inline SPLITVIT_BUILD::spec
