// SPDX-License-Identifier: MIT
#pragma once

#include <string>  // string

#include <splitvit/spec/method.hpp>  // Method

// A method as people write it, compiled once for the whole program; see spec/method.hpp.

namespace split_train {

using Method = splitvit::spec::Method<float>;

/// Errors  std::invalid_argument that says what is wrong and what is possible.
Method method_of(const std::string& text);

/// Whether a server's --compress leaves stages and bottleneck to the client: "any", "any@q:8".
bool takes_any_stage(const std::string& text);

/// What a server with --compress `own`, which takes any stage, does for a client with `theirs`. It
/// uses the client's method; a bottleneck or a codec in `own` replaces the client's. So "any" takes
/// the whole method, and "any@q:8" insists on the codec.
///
/// Errors  std::invalid_argument for a text that is no method.
Method method_for(const std::string& own, const std::string& theirs);

/// The text of a method with a bottleneck, feedback and a codec (each may be empty) if it names
/// none.
std::string with_defaults(const std::string& text, const std::string& bottleneck,
                          const std::string& feedback, const std::string& codec);

/// How methods are written, for --help.
std::string method_usages();

}  // namespace split_train
