// SPDX-License-Identifier: MIT
#include "split_train/method.hpp"

#include <splitvit/codec/parse.hpp>     // parse_codec
#include <splitvit/compress/parse.hpp>  // parse_stage

// Every stage and every codec there is, compiled once.

namespace split_train {

splitvit::compress::DynamicStage<float> stage_of(const std::string& method) {
  return splitvit::compress::parse_stage<float>(stage_text(method));
}

splitvit::codec::DynamicCodec<float> codec_of(const std::string& method) {
  const std::size_t at = method.find('@');
  return splitvit::codec::parse_codec<float>(at == std::string::npos ? "float32"
                                                                     : method.substr(at + 1));
}

std::string codec_usages() { return splitvit::codec::codec_usages(); }

}  // namespace split_train
