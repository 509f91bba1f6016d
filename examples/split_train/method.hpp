// SPDX-License-Identifier: MIT
#pragma once

#include <string>  // string

#include <splitvit/codec/dynamic_codec.hpp>     // DynamicCodec
#include <splitvit/compress/dynamic_stage.hpp>  // DynamicStage

// A method as people write it: a stage, and after @ the codec that writes what it leaves, as in
// adc:0.1@q:8. Without a codec numbers are written as they are.

namespace split_train {

inline std::string stage_text(const std::string& method) {
  return method.substr(0, method.find('@'));
}

/// Errors  std::invalid_argument that says what is wrong and what is possible.
splitvit::compress::DynamicStage<float> stage_of(const std::string& method);
splitvit::codec::DynamicCodec<float> codec_of(const std::string& method);

/// How codecs are written, for --help.
std::string codec_usages();

}  // namespace split_train
