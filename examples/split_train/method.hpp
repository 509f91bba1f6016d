// SPDX-License-Identifier: MIT
#pragma once

#include <string>  // string

#include <splitvit/split/method.hpp>  // Method

// A method as people write it, compiled once for the whole program; see split/method.hpp.

namespace split_train {

using Method = splitvit::split::Method<float>;

/// Errors  std::invalid_argument that says what is wrong and what is possible.
Method method_of(const std::string& text);

/// Whether a server's --compress leaves the stages to the client: "any", "any@q:8".
bool takes_any_stage(const std::string& text);

/// The text of a method with a bottleneck and a codec (either may be empty) if it names none.
std::string with_defaults(const std::string& text, const std::string& bottleneck,
                          const std::string& codec);

/// How codecs are written, for --help.
std::string codec_usages();

}  // namespace split_train
