// SPDX-License-Identifier: MIT
#pragma once

#include <sstream>  // istringstream
#include <string>   // string, getline
#include <vector>   // vector

#include <splitvit/spec/codecs.hpp>  // codec_usages

// codec_texts: a text for every codec that parse_codec knows.

namespace splitvit::test {

/// Some compositions, then each codec with its defaults: new ones come last. All take tensors
/// (B, N, D) of any small size.
inline std::vector<std::string> codec_texts() {
  std::vector<std::string> texts{"q:3,range=tensor,gradient_range=sample",
                                 "q:16,range=channel,gradient_range=channel",
                                 "topk:0.4,values=(q:4,rounding=stochastic)",
                                 "cls-exact(q:2),cls=float16",
                                 "scaled(topk:0.5)",
                                 "float16,scaled=no/bfloat16"};
  std::istringstream usages{spec::codec_usages()};
  for (std::string usage; std::getline(usages, usage);) {
    std::string text = usage.substr(0, usage.find_first_of("[(:"));
    if (usage.find("(CODEC)") != std::string::npos) text += "(q:5)";
    if (text == "fedlite") text += ":1";  // must divide any sample
    texts.push_back(text);
  }
  return texts;
}

}  // namespace splitvit::test
