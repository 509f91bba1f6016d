// SPDX-License-Identifier: MIT
#include "split_train/method.hpp"

#include <algorithm>  // min
#include <sstream>    // istringstream
#include <stdexcept>  // invalid_argument

#include "split_train/options.hpp"  // without_operation

// Every stage and every codec there is, compiled once.

namespace split_train {

bool takes_any_stage(const std::string& text) {
  return text.substr(0, std::min(text.find('@'), text.find(','))) == "any";
}

Method method_of(const std::string& text) {
  try {
    return splitvit::spec::parse_method<float>(takes_any_stage(text) ? "none" + text.substr(3)
                                                                     : text);
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument("method '" + text + "': " + without_operation(error));
  }
}

Method method_for(const std::string& own, const std::string& theirs) {
  Method method = method_of(theirs);
  const Method named = method_of(own);
  if (named.bottleneck) method.bottleneck = named.bottleneck;
  if (own.find('@') != own.npos) method.codec = named.codec;
  return method;
}

std::string with_defaults(const std::string& text, const std::string& bottleneck,
                          const std::string& feedback, const std::string& codec) {
  const std::size_t at = std::min(text.find('@'), text.size());
  std::string whole = text.substr(0, at);
  if (!bottleneck.empty() && whole.find("bottleneck:") == std::string::npos)
    whole += ",bottleneck:" + bottleneck;
  if (!feedback.empty() && feedback != "gradient" && whole.find("feedback:") == std::string::npos)
    whole += ",feedback:" + feedback;
  if (at < text.size()) return whole + text.substr(at);
  return codec.empty() ? whole : whole + "@" + codec;
}

std::string method_usages() {
  namespace spec = splitvit::spec;
  std::string all =
      "A method is stages with commas between, then a bottleneck, then feedback, then @ and a\n"
      "codec, such as merge:0.5,select:0.3,bottleneck:0.25,feedback:local@q:8. Each may be left\n"
      "out.\n";
  const auto add = [&](const std::string& title, const std::string& usages) {
    all += "\n" + title + "\n";
    std::istringstream lines{usages};
    for (std::string line; std::getline(lines, line);) all += "  " + line + "\n";
  };
  add("Stages:", spec::stage_usages());
  add("Bottleneck:", spec::usage<splitvit::nn::BottleneckOptions>());
  add("Feedback:", spec::usage<splitvit::nn::Feedback>());
  add("Codecs, or CODEC/CODEC for activations and gradients apart:", spec::codec_usages());
  return all;
}

}  // namespace split_train
