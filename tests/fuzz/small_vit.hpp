// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/nn/vit.hpp>  // VitConfig

// The model that a peer's messages are about: five tokens of four numbers, three classes.

namespace splitvit::test {

inline constexpr nn::VitConfig fuzzed_vit{.image = 8,
                                          .patch = 4,
                                          .channels = 1,
                                          .dim = 4,
                                          .heads = 2,
                                          .depth = 2,
                                          .classes = 3,
                                          .mlp_ratio = 2};

}  // namespace splitvit::test
